#include "src/receiver/receiver.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "src/base/log.h"
#include "src/base/text.h"
#include "src/receiver/handshake.h"
#include "src/wire/codec.h"

namespace baton::receiver {
namespace {

/// Senders that may be known at a time; each costs a ticket and, once connected, a connection.
constexpr std::size_t kMaxPeers = 1'024;
/// How long a ticket waits for its sender.
constexpr Duration kConnectWait = std::chrono::seconds(30);

/// What a status says, as long as a message may be.
std::string text_of(const Status& status) {
  return clip({status.message().data(), status.message().size()}, wire::Limits().max_string_bytes);
}

template <typename Response>
Response failed(std::uint64_t put_id, const Status& why) {
  Response response;
  response.put_id = put_id;
  response.code = static_cast<std::uint32_t>(why.code());
  response.message = text_of(why);
  return response;
}

}  // namespace

StatusOr<std::unique_ptr<Receiver>> Receiver::create(Environment environment, Config config,
                                                     FaultHooks faults) {
  std::unique_ptr<Receiver> receiver(
      new Receiver(std::move(environment), std::move(config), std::move(faults)));
  if (Status bound = receiver->bind(); !bound.ok()) {
    return bound;
  }
  return receiver;
}

Receiver::Receiver(Environment environment, Config config, FaultHooks faults)
    : env_(std::move(environment)),
      config_(std::move(config)),
      faults_(std::move(faults)),
      pool_(*env_.buffer, config_.poison_pages),
      table_(env_.scheduler, pool_, config_, *this, [this] { claims_.recheck(); }),
      committer_(env_.scheduler, table_, config_, faults_),
      claims_(env_.scheduler, table_, config_, env_.buffer, env_.loop) {}

Receiver::~Receiver() = default;

Status Receiver::bind() {
  auto init = env_.network.bind_server(
      config_.init_endpoint,
      lifetime_.guard([this](const control::Route& from, std::string_view payload) {
        on_init(from, payload);
      }));
  if (!init.ok()) {
    return init.status();
  }
  init_ = *std::move(init);
  auto alloc = env_.network.bind_server(
      config_.alloc_endpoint,
      lifetime_.guard([this](const control::Route& from, std::string_view payload) {
        on_alloc(from, payload);
      }));
  if (!alloc.ok()) {
    return alloc.status();
  }
  alloc_ = *std::move(alloc);
  for (transport::Transport* transport : env_.transports) {
    transport->set_guard(this);
    transport->set_observer(this);
  }
  return absl::OkStatus();
}

void Receiver::close() {
  claims_.close(absl::CancelledError(std::string("the receiver closes")));
  init_.reset();
  alloc_.reset();
}

// ---- reading -----------------------------------------------------------------------------------

bool Receiver::contains(std::string_view key) {
  const Chunk* chunk = pool_.find(key);
  return chunk != nullptr && chunk->state == Chunk::State::kCommitted;
}

Status Receiver::remove(std::string_view key) {
  const Chunk* chunk = pool_.find(key);
  if (chunk == nullptr) {
    return absl::NotFoundError(fmt::format("chunk {} is not here", key));
  }
  if (!pool_.remove(key)) {
    return absl::FailedPreconditionError(
        fmt::format("chunk {} is {}", key,
                    chunk->state == Chunk::State::kInFlight
                        ? std::string("in flight")
                        : fmt::format("in use by {} holders", chunk->holds)));
  }
  table_.schedule_settle();
  return absl::OkStatus();
}

bool Receiver::cancel_request(const std::string& req_id) {
  return table_.end_all(req_id, absl::CancelledError(std::string("cancelled at the receiver"))) > 0;
}

std::uint32_t Receiver::evict_all_retained() {
  table_.schedule_settle();
  return pool_.evict_all_retained();
}

Receiver::Stats Receiver::stats() const {
  return {pool_.counts(), table_.size(),      table_.waiting(),
          peers_.size(),  rejected_messages_, refused_handshakes_};
}

// ---- handshake ---------------------------------------------------------------------------------

void Receiver::on_init(const control::Route& from, std::string_view payload) {
  const auto outer = wire::decode(payload, config_.limits);
  const auto* request = outer.ok() ? std::get_if<wire::NixlInitRequest>(&*outer) : nullptr;
  if (request == nullptr || !request->baton.has_value()) {
    // A stock LMCache sender, or rubbish. Neither can be told anything that it would understand.
    reject(from, "init port",
           outer.ok() ? absl::UnimplementedError(std::string("not a hello of Baton's"))
                      : outer.status());
    return;
  }
  const auto inner = wire::decode(*request->baton, config_.limits);
  const auto* hello = inner.ok() ? std::get_if<wire::Hello>(&*inner) : nullptr;
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
  } else {
    ++refused_handshakes_;
    log::warning("handshake refused: {}", std::string(result.status().message()));
    response.baton = wire::encode(wire::Refusal{static_cast<std::uint32_t>(result.status().code()),
                                                text_of(result.status())});
  }
  static_cast<void>(init_->send(from, wire::encode(response)));  // A vanished sender asks again.
}

StatusOr<wire::Welcome> Receiver::welcome(const wire::Hello& hello) {
  const auto version = choose_version(hello);
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
  auto ticket = issue_ticket(hello.epoch, **transport);
  if (!ticket.ok()) {
    return ticket.status();
  }
  wire::Welcome welcome;
  welcome.version = *version;
  welcome.epoch = env_.epoch;
  welcome.page_bytes = env_.buffer->page_bytes();
  welcome.page_count = env_.buffer->page_count();
  welcome.max_keys = static_cast<std::uint32_t>(config_.limits.max_keys);
  welcome.max_message_bytes = config_.limits.max_message_bytes;
  welcome.digests = config_.integrity != Integrity::kOff;
  welcome.transport = std::string((*transport)->name());
  welcome.ticket = *std::move(ticket);
  return welcome;
}

StatusOr<std::string> Receiver::issue_ticket(const Epoch& sender, transport::Transport& transport) {
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
  env_.scheduler.cancel(peer.connect_timer);
  peer.connect_timer = env_.scheduler.run_after(kConnectWait, lifetime_.guard([this, sender] {
    if (const auto found = peers_.find(sender); found != peers_.end() && !found->second.connected) {
      found->second.connect_timer = kNoTimer;
      on_writer_gone(sender, absl::UnavailableError(std::string("it never connected")));
    }
  }));
  return ticket;
}

// ---- the alloc port ----------------------------------------------------------------------------

void Receiver::on_alloc(const control::Route& from, std::string_view payload) {
  const auto message = wire::decode(payload, config_.limits);
  if (!message.ok()) {
    reject(from, "alloc port", message.status());
    return;
  }
  std::visit([&](const auto& typed) { handle(from, typed); }, *message);
}

template <typename Other>
void Receiver::handle(const control::Route& from, const Other& /*message*/) {
  reject(from, "alloc port",
         absl::InvalidArgumentError(fmt::format("{} has no business here", Other::kType)));
}

Status Receiver::check_parties(const control::Route& from, const wire::Parties& parties) const {
  if (parties.receiver_epoch != env_.epoch) {
    return absl::UnavailableError(fmt::format("meant for receiver {}, this is {}",
                                              parties.receiver_epoch.brief(), env_.epoch.brief()));
  }
  if (from.find(parties.sender_epoch.hex()) == std::string::npos) {
    return absl::PermissionDeniedError(fmt::format(
        "the message speaks for sender {}, its socket does not", parties.sender_epoch.brief()));
  }
  const auto peer = peers_.find(parties.sender_epoch);
  // Not `connected`: its first message may come before the transport's news of its connection. One
  // that never connects loses everything when its ticket expires.
  if (peer == peers_.end() || peer->second.fencing) {
    return absl::UnavailableError(
        fmt::format("sender {} has no data connection here", parties.sender_epoch.brief()));
  }
  return absl::OkStatus();
}

void Receiver::handle(const control::Route& from, const wire::AllocRequest& message) {
  if (!message.baton.has_value() || !message.async.has_value()) {
    reject(from, "alloc port",
           absl::UnimplementedError(std::string("AllocRequest of a stock LMCache sender")));
    return;
  }
  const std::uint64_t put_id = message.baton->put_id;
  const wire::LayoutInfo& layout = config_.layout;
  Status fine = check_parties(from, message.baton->parties);
  if (fine.ok() && (message.shape != layout.shape || message.dtype != layout.dtype ||
                    message.fmt != layout.fmt)) {
    fine = absl::InvalidArgumentError(fmt::format(
        "put {} has chunks of another shape, dtype or format than the handshake", put_id));
  }
  StatusOr<wire::AllocResponse> result =
      fine.ok() ? table_.allocate(message, from) : StatusOr<wire::AllocResponse>(fine);
  if (result.ok()) {
    if (!answer(from, *std::move(result))) {
      lose_silent(message.baton->parties.sender_epoch);
    }
    return;
  }
  log::info("[{}] put {} refused: {}", message.async->req_id, put_id,
            std::string(result.status().message()));
  wire::AllocResponse refusal;
  refusal.baton = failed<wire::AllocResponse::Baton>(put_id, result.status());
  answer(from, std::move(refusal));
}

void Receiver::handle(const control::Route& from, const wire::OpenRequest& message) {
  Status fine = check_parties(from, message.parties);
  if (fine.ok()) {
    fine = table_.open(message, from);
  }
  if (!fine.ok()) {
    answer_open(from, message.req_id, message.attempt, fine);
  }
}

void Receiver::handle(const control::Route& from, const wire::CommitRequest& message) {
  if (Status fine = check_parties(from, message.parties); !fine.ok()) {
    auto refusal = failed<wire::CommitResponse>(message.put_id, fine);
    refusal.slice = message.slice;
    answer(from, std::move(refusal));
    return;
  }
  committer_.commit(message, lifetime_.guard([this, from](wire::CommitResponse response) {
    response.message = clip(response.message, wire::Limits().max_string_bytes);
    answer(from, std::move(response));
  }));
}

void Receiver::handle(const control::Route& from, const wire::DrainNotif& message) {
  const Status fine = check_parties(from, message.parties);
  if (fine.ok()) {
    table_.drain({message.parties.sender_epoch, message.put_id}, message.pages,
                 message.generations);
  }
  answer(from, failed<wire::DrainAck>(message.put_id, fine));
}

void Receiver::handle(const control::Route& from, const wire::CancelNotif& message) {
  if (!message.baton.has_value()) {
    reject(from, "alloc port",
           absl::UnimplementedError(std::string("CancelNotif of a stock LMCache sender")));
    return;
  }
  const Status fine = check_parties(from, message.baton->parties);
  if (fine.ok()) {
    table_.end({message.baton->parties.sender_epoch, message.req_id, message.baton->attempt},
               absl::CancelledError(message.baton->reason));
  }
}

void Receiver::handle(const control::Route& from, const wire::ReleaseNotif& message) {
  const Status fine = check_parties(from, message.parties);
  if (fine.ok()) {
    table_.release({message.parties.sender_epoch, message.req_id, message.attempt});
  }
}

void Receiver::reject(const control::Route& from, std::string_view what, const Status& why) {
  ++rejected_messages_;
  log::limited_warning("{}: a message from '{}' was dropped: {}", what, from,
                       std::string(why.message()));
}

bool Receiver::answer(const control::Route& to, const wire::Message& message) {
  const Status sent = alloc_->send(to, wire::encode(message));
  if (!sent.ok()) {
    log::debug("no {} to '{}': {}", wire::type_name(message), to, std::string(sent.message()));
  }
  return sent.ok();
}

void Receiver::lose_silent(const Epoch& sender) {
  env_.scheduler.post(lifetime_.guard([this, sender] {
    on_writer_gone(sender, absl::UnavailableError(std::string("it can't be told of its grants")));
  }));
}

void Receiver::answer_open(const control::Route& to, const std::string& req_id,
                           std::uint64_t attempt, const Status& status) {
  answer(to, wire::OpenResponse{req_id, attempt, static_cast<std::uint32_t>(status.code()),
                                text_of(status)});
}

// ---- what the state machine and the transports tell --------------------------------------------

void Receiver::on_open_decided(const Request& request, const Status& status) {
  answer_open(request.route, request.id.req_id, request.id.attempt, status);
}

void Receiver::on_chunk_update(const Put& put, wire::ChunkUpdate update) {
  if (!answer(put.request->route, std::move(update))) {
    lose_silent(put.request->id.sender);
  }
}

bool Receiver::may_write(const Epoch& writer, std::uint32_t page, std::uint64_t generation,
                         std::uint64_t offset_bytes, std::uint64_t length_bytes) const {
  return pool_.may_write(writer, page, generation, offset_bytes, length_bytes);
}

void Receiver::on_writer_connected(const Epoch& peer) {
  const auto found = peers_.find(peer);
  if (found != peers_.end() && !found->second.fencing) {
    found->second.connected = true;
    env_.scheduler.cancel(std::exchange(found->second.connect_timer, kNoTimer));
  }
}

void Receiver::on_writer_gone(const Epoch& peer, const Status& why) {
  const auto found = peers_.find(peer);
  if (found == peers_.end() || found->second.fencing) {
    return;
  }
  log::info("sender {} is gone: {}", peer.brief(), std::string(why.message()));
  table_.end_unfinished(peer, absl::UnavailableError(fmt::format("its sender is gone: {}",
                                                                 std::string(why.message()))));
  fence(peer, found->second);
}

void Receiver::fence(const Epoch& sender, Peer& peer) {
  peer.connected = false;
  peer.fencing = true;
  env_.scheduler.cancel(std::exchange(peer.connect_timer, kNoTimer));
  peer.transport->revoke(sender, lifetime_.guard([this, sender] {
    table_.release_fenced(sender);
    peers_.erase(sender);
  }));
}

void Receiver::on_receiver_gone(const Epoch& /*peer*/, const Status& /*why*/) {
  // This side writes to nobody.
}

}  // namespace baton::receiver
