#include "src/transport/tcp/tcp_transport.h"

#include <fmt/format.h>

#include <utility>

#include "src/base/log.h"
#include "src/transport/post_done.h"

namespace baton::transport {
namespace {

// What both sides of this version can do; there is nothing to choose yet.
constexpr std::string_view kOffer = "1";

Status closed_error() {
  return absl::FailedPreconditionError(std::string("the tcp transport is closed"));
}

}  // namespace

StatusOr<std::unique_ptr<TcpTransport>> TcpTransport::create(Reactor& reactor, const PeerId& self,
                                                             TcpOptions options) {
  if (!options.listen) {
    return std::unique_ptr<TcpTransport>(
        new TcpTransport(reactor, self, std::move(options), UniqueFd(), tcp::Address()));
  }
  const auto wanted = tcp::resolve(options.host, options.port);
  if (!wanted.ok()) {
    return wanted.status();
  }
  if (wanted->is_wildcard() && options.advertised_host.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("host {} is every address of this machine: set advertised_host to the one "
                    "that senders can reach",
                    options.host));
  }
  auto listener = tcp::listen_on(*wanted);
  if (!listener.ok()) {
    return listener.status();
  }
  auto address = tcp::bound_address(*listener);
  if (address.ok() && !options.advertised_host.empty()) {
    address = tcp::resolve(options.advertised_host, address->port);
  }
  if (!address.ok()) {
    return address.status();
  }
  return std::unique_ptr<TcpTransport>(new TcpTransport(reactor, self, std::move(options),
                                                        *std::move(listener), *std::move(address)));
}

TcpTransport::TcpTransport(Reactor& reactor, const PeerId& self, TcpOptions options,
                           UniqueFd listener, tcp::Address address)
    : reactor_(reactor),
      self_(self),
      options_(std::move(options)),
      listener_(std::move(listener)),
      address_(std::move(address)) {}

Status TcpTransport::attach(RegisteredBuffer& buffer) {
  if (target_.buffer != nullptr || closed_) {
    return closed_ ? closed_error()
                   : absl::FailedPreconditionError(std::string("a buffer is attached already"));
  }
  target_.buffer = &buffer;
  if (!options_.listen) {
    return absl::OkStatus();
  }
  acceptor_ = std::make_unique<tcp::Acceptor>(
      reactor_, options_, std::move(listener_), target_.stats,
      [this](UniqueFd socket, const tcp::Hello& hello) { on_arrival(std::move(socket), hello); });
  return absl::OkStatus();
}

std::string TcpTransport::offer() const {
  return std::string(kOffer);
}

bool TcpTransport::can_serve(std::string_view offer) const {
  return offer == kOffer;
}

// ---- receiving half ------------------------------------------------------------------------

StatusOr<std::string> TcpTransport::expect_peer(const PeerId& peer) {
  if (closed_) {
    return closed_error();
  }
  if (!options_.listen) {
    return absl::FailedPreconditionError(
        std::string("this end of the tcp transport does not listen"));
  }
  if (target_.buffer == nullptr || target_.guard == nullptr) {
    return absl::FailedPreconditionError(
        std::string("attach a buffer and set a guard before expecting peers"));
  }
  if (fences_.contains(peer)) {
    return absl::FailedPreconditionError(
        fmt::format("peer {} is being revoked; wait for its fence", peer.brief()));
  }
  Writer& writer = writers_[peer];
  writer.token = tcp::random_token();
  return tcp::encode(
      tcp::Ticket{.streams = 1, .token = writer.token, .receiver = self_, .address = address_});
}

TcpTransport::Writer* TcpTransport::authenticate(const tcp::Hello& hello) {
  const auto found = writers_.find(hello.sender);
  const bool known = found != writers_.end();
  const bool right = tcp::equal_in_constant_time(known ? found->second.token : decoy_, hello.token);
  return known && right && hello.receiver == self_ && hello.streams == 1 ? &found->second : nullptr;
}

void TcpTransport::on_arrival(UniqueFd socket, const tcp::Hello& hello) {
  Writer* writer = authenticate(hello);
  if (writer == nullptr) {
    ++target_.stats.rejected_hellos;
    log::info("tcp: refused a connection that calls itself peer {}", hello.sender.brief());
    tcp::send_answer(socket, tcp::Answer::kRefused);
    return;
  }
  ++target_.stats.accepted_hellos;
  tcp::send_answer(socket, tcp::Answer::kAccepted);
  const PeerId peer = hello.sender;
  const bool first = writer->connection == nullptr;
  // A former connection is closed by its replacement before this one may write.
  writer->connection.reset();
  writer->connection = std::make_unique<tcp::Inbound>(
      reactor_, options_, std::move(socket), peer, target_,
      [this, peer](const Status& why) { on_writer_ended(peer, why); });
  if (first) {
    tell([peer](TransportObserver& observer) { observer.on_writer_connected(peer); });
  }
}

void TcpTransport::on_writer_ended(const PeerId& writer, const Status& why) {
  writers_.at(writer).connection.reset();
  tell([writer, why](TransportObserver& observer) { observer.on_writer_gone(writer, why); });
}

void TcpTransport::revoke(const PeerId& peer, Task fenced) {
  if (closed_) {
    reactor_.post(std::move(fenced));
    return;
  }
  // The proof: with the socket closed here, nobody reads what the peer sent or still sends.
  writers_.erase(peer);
  fences_[peer].push_back(std::move(fenced));
  post([this, peer] { fire_fences(peer); });
}

void TcpTransport::fire_fences(const PeerId& peer) {
  const auto fences = fences_.extract(peer);
  if (!fences.empty()) {
    for (Task& fenced : fences.mapped()) {
      reactor_.post(std::move(fenced));
    }
  }
}

// ---- sending half --------------------------------------------------------------------------

StatusOr<tcp::Ticket> TcpTransport::check_ticket(const PeerId& receiver,
                                                 std::string_view ticket) const {
  if (closed_) {
    return closed_error();
  }
  if (receivers_.contains(receiver)) {
    return absl::FailedPreconditionError(
        fmt::format("peer {} is connected, or being connected, already", receiver.brief()));
  }
  auto parsed = tcp::parse_ticket(ticket);
  if (parsed.ok() && parsed->receiver != receiver) {
    return absl::PermissionDeniedError(fmt::format("a ticket of peer {} does not open peer {}",
                                                   parsed->receiver.brief(), receiver.brief()));
  }
  return parsed;
}

void TcpTransport::connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
                           Done done) {
  const auto parsed = check_ticket(receiver, ticket);
  if (!parsed.ok()) {
    post_done(reactor_, std::move(done), parsed.status());
    return;
  }
  auto socket = tcp::start_connect(parsed->address);
  if (!socket.ok()) {
    post_done(reactor_, std::move(done), socket.status());
    return;
  }
  const tcp::Hello hello{.token = parsed->token, .sender = self_, .receiver = receiver};
  receivers_[receiver] = std::make_unique<tcp::Outbound>(
      reactor_, options_, *std::move(socket), hello, deadline, std::move(done),
      [this, receiver](const Status& why, bool was_open) {
        on_receiver_ended(receiver, why, was_open);
      });
}

void TcpTransport::on_receiver_ended(const PeerId& receiver, const Status& why, bool was_open) {
  receivers_.erase(receiver);
  if (was_open) {
    tell(
        [receiver, why](TransportObserver& observer) { observer.on_receiver_gone(receiver, why); });
  }
}

Status TcpTransport::check(const std::vector<WriteOp>& ops) const {
  for (const WriteOp& op : ops) {
    if (target_.buffer == nullptr || !target_.buffer->contains(op.local)) {
      return absl::InvalidArgumentError(
          fmt::format("a local range of {} bytes for page {} lies outside the attached buffer",
                      op.local.size(), op.page));
    }
  }
  return absl::OkStatus();
}

void TcpTransport::write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done) {
  std::erase_if(ops, [](const WriteOp& op) { return op.local.empty(); });
  const auto found = receivers_.find(receiver);
  if (found == receivers_.end() || !found->second->is_open()) {
    post_done(reactor_, std::move(done),
              closed_ ? closed_error()
                      : absl::UnavailableError(
                            fmt::format("not connected to peer {}", receiver.brief())));
    return;
  }
  Status verdict = check(ops);
  found->second->write_batch(std::move(ops), std::move(verdict), std::move(done));
}

void TcpTransport::disconnect(const PeerId& receiver) {
  const auto found = receivers_.extract(receiver);
  if (!found.empty()) {
    found.mapped()->close(
        absl::CancelledError(fmt::format("disconnected from peer {}", receiver.brief())));
  }
}

// ---- end -----------------------------------------------------------------------------------

void TcpTransport::post(Task task) {
  reactor_.post([alive = std::weak_ptr<int>(alive_), task = std::move(task)]() mutable {
    if (!alive.expired()) {
      task();
    }
  });
}

void TcpTransport::tell(absl::AnyInvocable<void(TransportObserver&)> news) {
  post([this, news = std::move(news)]() mutable {
    if (!closed_ && observer_ != nullptr) {
      news(*observer_);
    }
  });
}

void TcpTransport::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  acceptor_.reset();
  listener_.reset();
  writers_.clear();
  for (const auto& [receiver, connection] : std::exchange(receivers_, {})) {
    connection->close(absl::CancelledError(std::string("the tcp transport was closed")));
  }
  for (auto& [peer, fences] : std::exchange(fences_, {})) {
    for (Task& fenced : fences) {
      reactor_.post(std::move(fenced));
    }
  }
}

void TcpTransport::join() {
  close();
  alive_.reset();
}

}  // namespace baton::transport
