// How senders are let in: Receiver's half that answers the init port.
#include <fmt/format.h>

#include <utility>
#include <variant>

#include "src/base/log.h"
#include "src/control/endpoint.h"
#include "src/receiver/handshake.h"
#include "src/receiver/receiver.h"
#include "src/wire/codec.h"
#include "src/wire/status_text.h"

namespace baton::receiver {
namespace {

/// Senders that may be known at a time; each costs a ticket and, once connected, a connection.
constexpr std::size_t kMaxPeers = 1'024;
/// How long a ticket waits for its sender.
constexpr Duration kConnectWait = std::chrono::seconds(30);

}  // namespace

void Receiver::on_init(const control::Route& from, std::string_view payload) {
  const auto outer = wire::decode(payload, config_.limits);
  if (outer.ok() && serve_stock_init(from, *outer)) {
    return;
  }
  const auto* request = outer.ok() ? std::get_if<wire::NixlInitRequest>(&*outer) : nullptr;
  if (request == nullptr || !request->baton.has_value()) {
    strike(from, "init port",
           outer.ok() ? absl::UnimplementedError(std::string("not a hello of Baton's"))
                      : outer.status());
    refuse_stock_init(from);
    return;
  }
  const auto inner = wire::decode(*request->baton, config_.limits);
  const auto* hello = inner.ok() ? std::get_if<wire::Hello>(&*inner) : nullptr;
  if (hello != nullptr && !control::is_of_epoch(from, hello->epoch.hex())) {
    // A ticket for another sender's epoch would be the right to write in its name.
    strike(from, "init port",
           absl::PermissionDeniedError(fmt::format(
               "the hello speaks for sender {}, its socket does not", hello->epoch.brief())));
    return;
  }
  if (hello != nullptr && is_repeated(from, hello->epoch)) {
    return;
  }
  StatusOr<wire::Welcome> result = hello != nullptr
                                       ? welcome(*hello)
                                       : StatusOr<wire::Welcome>(absl::InvalidArgumentError(
                                             inner.ok() ? std::string("expected a BatonHello")
                                                        : std::string(inner.status().message())));
  wire::NixlInitResponse response;
  if (result.ok()) {
    log::info("sender {} introduced itself; it will write over {}", hello->epoch.brief(),
              result->transport);
    response.baton = wire::encode(*std::move(result));
    Peer& peer = peers_.at(hello->epoch);
    peer.hello = control::connection_number(from);
    peer.welcome = wire::encode(response);
  } else {
    ++refused_handshakes_;
    log::limited_warning("handshake refused: {}", std::string(result.status().message()));
    response.baton = wire::encode(wire::Refusal{static_cast<std::uint32_t>(result.status().code()),
                                                wire::status_text(result.status())});
  }
  static_cast<void>(init_->send(from, wire::encode(response)));  // A vanished sender asks again.
}

bool Receiver::is_repeated(const control::Route& from, const Epoch& sender) {
  const auto peer = peers_.find(sender);
  const std::uint64_t number = control::connection_number(from);
  if (peer == peers_.end() || number == 0 || number > peer->second.hello) {
    return false;
  }
  if (number < peer->second.hello) {
    log::debug("a hello of sender {} came late, from a connection that it has replaced",
               sender.brief());
    return true;
  }
  if (!peer->second.connected && !peer->second.fencing) {
    static_cast<void>(init_->send(from, peer->second.welcome));  // The first may be lost.
    return true;
  }
  return peer->second.connected;
}

StatusOr<wire::Welcome> Receiver::welcome(const wire::Hello& hello) {
  if (hello.epoch == env_.epoch) {
    return absl::FailedPreconditionError(
        fmt::format("this receiver and the sender are one process, {}: what it has it need not put "
                    "to itself, nor read",
                    hello.epoch.brief()));
  }
  const auto version = choose_version(hello, config_.versions);
  if (!version.ok()) {
    return version.status();
  }
  if (Status same = check_layout(hello.layout, config_.layout); !same.ok()) {
    return same;
  }
  const auto transport = choose_transport(hello, env_.transports);
  if (!transport.ok()) {
    return transport.status();
  }
  auto ticket = issue_ticket(hello.epoch, **transport, *version);
  if (!ticket.ok()) {
    return ticket.status();
  }
  wire::Welcome welcome;
  welcome.version = *version;
  welcome.epoch = env_.epoch;
  welcome.page_bytes = env_.buffer->page_bytes();
  welcome.page_count = pool_.counts().total;
  welcome.max_keys = static_cast<std::uint32_t>(config_.limits.max_keys);
  welcome.max_message_bytes = config_.limits.max_message_bytes;
  welcome.digests = config_.integrity != Integrity::kOff;
  welcome.transport = std::string((*transport)->name());
  welcome.ticket = *std::move(ticket);
  if (has_leases(*version)) {
    welcome.lease_ms = static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(config_.lease).count());
  }
  return welcome;
}

StatusOr<std::string> Receiver::issue_ticket(const Epoch& sender, transport::Transport& transport,
                                             std::uint32_t version) {
  const auto known = peers_.find(sender);
  if (known != peers_.end() && (known->second.connected || known->second.transport != &transport)) {
    // It lost its connection before this side noticed, or wants another transport: what it was
    // given before is proven void first.
    on_writer_gone(sender, absl::UnavailableError(std::string("the sender began anew")));
  }
  if (known != peers_.end() && known->second.fencing) {
    return absl::UnavailableError(
        std::string("the former connection of this sender is still being fenced; try again"));
  }
  if (known == peers_.end() && peers_.size() >= kMaxPeers) {
    return absl::ResourceExhaustedError(
        fmt::format("{} senders are known, the limit is {}", peers_.size(), kMaxPeers));
  }
  auto ticket = transport.expect_peer(sender);
  if (!ticket.ok()) {
    return ticket.status();
  }
  Peer& peer = peers_[sender];
  peer.transport = &transport;
  peer.version = version;
  peer.heard = env_.scheduler.now();
  schedule_sweep();
  env_.scheduler.cancel(peer.connect_timer);
  peer.connect_timer = env_.scheduler.run_after(kConnectWait, lifetime_.guard([this, sender] {
    if (const auto found = peers_.find(sender); found != peers_.end() && !found->second.connected) {
      found->second.connect_timer = kNoTimer;
      on_writer_gone(sender, absl::UnavailableError(std::string("it never connected")));
    }
  }));
  return ticket;
}

}  // namespace baton::receiver
