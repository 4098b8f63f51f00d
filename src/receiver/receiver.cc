#include "src/receiver/receiver.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "src/base/log.h"
#include "src/base/text.h"
#include "src/control/endpoint.h"
#include "src/receiver/lane_route.h"
#include "src/wire/codec.h"
#include "src/wire/reuse.h"
#include "src/wire/status_text.h"

namespace baton::receiver {
namespace {

/// Nonsense that is forgiven: a peer of another version, or of LMCache, sends some at first.
constexpr std::uint32_t kMaxStrikes = 16;
/// Routes whose strikes are counted at a time.
constexpr std::size_t kMaxStruck = 1'024;

template <typename Response>
Response failed(std::uint64_t put_id, const Status& why) {
  Response response;
  response.put_id = put_id;
  response.code = static_cast<std::uint32_t>(why.code());
  response.message = wire::status_text(why);
  return response;
}

}  // namespace

Status Receiver::cannot_tell() {
  return absl::UnavailableError(std::string("it can't be told of its grants"));
}

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
      pool_(*env_.buffer, env_.page_count == 0 ? env_.buffer->page_count() : env_.page_count,
            config_.poison_pages),
      table_(env_.scheduler, pool_, config_, faults_, *this, [this] { on_settled(); }),
      committer_(env_.scheduler, table_, config_, faults_),
      claims_(env_.scheduler, table_, config_, env_.buffer, env_.loop),
      reads_(env_.scheduler, table_, config_) {}

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
  if (env_.stock != nullptr) {
    stock_ = std::make_unique<StockDesk>(env_.scheduler, table_, config_, env_.epoch, *env_.stock);
    if (!config_.query_endpoint.empty()) {
      auto query = env_.network.bind_server(
          config_.query_endpoint,
          lifetime_.guard([this](const control::Route& from, std::string_view payload) {
            on_query(from, payload);
          }));
      if (!query.ok()) {
        return query.status();
      }
      query_ = *std::move(query);
    }
  }
  make_group();
  for (transport::Transport* transport : env_.transports) {
    transport->set_guard(this);
    transport->set_observer(this);
  }
  return absl::OkStatus();
}

void Receiver::close() {
  claims_.close(absl::CancelledError(std::string("the receiver closes")));
  parked_.clear();
  table_.set_group(nullptr);
  leader_.reset();
  follower_.reset();
  init_.reset();
  alloc_.reset();
  query_.reset();
}

// ---- reading -----------------------------------------------------------------------------------

bool Receiver::contains(std::string_view key) {
  if (stock_ != nullptr && stock_->is_granted(key)) {
    return true;
  }
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
  const bool stock = stock_ != nullptr &&
                     stock_->cancel_request(
                         req_id, absl::CancelledError(std::string("cancelled at the receiver")));
  const std::vector<RequestId> attempts = table_.attempts_of(req_id);
  for (const RequestId& id : attempts) {
    end_and_tell(id, absl::CancelledError(std::string("cancelled at the receiver")));
  }
  return stock || !attempts.empty();
}

std::uint32_t Receiver::evict_all_retained() {
  table_.schedule_settle();
  return pool_.evict_all_retained();
}

Receiver::Stats Receiver::stats() const {
  return {pool_.counts(),
          table_.size(),
          table_.waiting(),
          reads_.count(),
          claims_.pending(),
          peers_.size(),
          stock_ == nullptr ? 0 : stock_->peers().size(),
          rejected_messages_,
          refused_handshakes_,
          cut_off_};
}

// ---- the alloc port ----------------------------------------------------------------------------

void Receiver::on_alloc(const control::Route& from, std::string_view payload) {
  auto message = wire::decode(payload, config_.limits);
  if (!message.ok()) {
    strike(from, "alloc port", message.status());
    if (stock_ != nullptr && !from.starts_with("baton-") && !lane_of(from).has_value()) {
      wire::AllocResponse refused;  // LMCache waits for an answer without end.
      refused.remote_indexes = {-1};
      answer(from, refused);
    }
    return;
  }
  std::visit([&](const auto& typed) { handle(from, typed); }, *message);
  wire::recycle(*std::move(message));
}

template <typename Other>
void Receiver::handle(const control::Route& from, const Other& /*message*/) {
  strike(from, "alloc port",
         absl::InvalidArgumentError(fmt::format("{} has no business here", Other::kType)));
}

Status Receiver::check_parties(const control::Route& from, const wire::Parties& parties) {
  if (parties.receiver_epoch != env_.epoch) {
    return absl::UnavailableError(fmt::format("meant for receiver {}, this is {}",
                                              parties.receiver_epoch.brief(), env_.epoch.brief()));
  }
  if (!speaks_for(from, parties.sender_epoch)) {
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
  peer->second.heard = env_.scheduler.now();
  peer->second.route = from;
  return absl::OkStatus();
}

void Receiver::handle(const control::Route& from, const wire::AllocRequest& message) {
  if (stock_ != nullptr && !message.baton.has_value()) {
    serve_stock(from, message);
    return;
  }
  if (!message.baton.has_value() || !message.async.has_value()) {
    strike(from, "alloc port",
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
  if (fine.ok() && !result.ok()) {
    if (park(from, message, result.status())) {
      return;
    }
    refuse(message, result.status());
  }
  answer_allocation(from, message, std::move(result));
}

void Receiver::refuse(const wire::AllocRequest& message, const Status& why) {
  table_.refuse(
      {message.baton->parties.sender_epoch, message.async->req_id, message.baton->attempt}, why);
}

void Receiver::answer_allocation(const control::Route& from, const wire::AllocRequest& message,
                                 StatusOr<wire::AllocResponse> result) {
  const std::uint64_t put_id = message.baton->put_id;
  if (result.ok()) {
    if (!answer(from, *std::move(result))) {
      lose(message.baton->parties.sender_epoch, cannot_tell());
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
    if (!fine.ok()) {
      table_.refuse({message.parties.sender_epoch, message.req_id, message.attempt}, fine);
    }
  }
  if (!fine.ok()) {
    answer_open(from, message.req_id, message.attempt, fine);
  }
}

void Receiver::handle(const control::Route& from, const wire::CommitRequest& message) {
  if (const Status fine = check_parties(from, message.parties); !fine.ok()) {
    auto refusal = failed<wire::CommitResponse>(message.put_id, fine);
    refusal.slice = message.slice;
    answer(from, std::move(refusal));
    return;
  }
  committer_.commit(message, lifetime_.guard([this, from](wire::CommitResponse response) {
    answer(from, std::move(response));
  }));
}

void Receiver::handle(const control::Route& from, const wire::DrainNotif& message) {
  const Status fine = check_parties(from, message.parties);
  if (fine.ok()) {
    table_.drain({message.parties.sender_epoch, message.put_id}, message.pages,
                 message.generations);
  }
  auto ack = failed<wire::DrainAck>(message.put_id, fine);
  ack.sequence = message.sequence;
  answer(from, std::move(ack));
}

void Receiver::handle(const control::Route& from, const wire::CancelNotif& message) {
  if (stock_ != nullptr && !message.baton.has_value()) {
    serve_stock(from, message);
    return;
  }
  if (!message.baton.has_value()) {
    strike(from, "alloc port",
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
  log::limited_warning("{}: a message from {} was dropped: {}", what, quote(from),
                       std::string(why.message()));
}

void Receiver::strike(const control::Route& from, std::string_view what, const Status& why) {
  reject(from, what, why);
  schedule_sweep();
  if (strikes_.size() >= kMaxStruck && !strikes_.contains(from)) {
    strikes_.clear();  // Whoever goes on is counted again.
  }
  if (++strikes_[from] >= kMaxStrikes) {
    strikes_.erase(from);
    cut_off(from);
  }
}

void Receiver::cut_off(const control::Route& from) {
  ++cut_off_;
  log::limited_warning("{} is cut off after {} senseless messages", quote(from), kMaxStrikes);
  init_->cut_off(from);
  alloc_->cut_off(from);
  for (const auto& [sender, peer] : peers_) {
    if (speaks_for(from, sender)) {
      lose(sender, absl::PermissionDeniedError(std::string("it sent too much nonsense")));
      return;
    }
  }
}

bool Receiver::answer(const control::Route& to, const wire::Message& message) {
  const wire::Encoded encoded(message);
  const auto lane = lane_of(to);
  const auto peer = lane.has_value() ? peers_.find(*lane) : peers_.end();
  const Status sent = !lane.has_value() ? alloc_->send(to, encoded.bytes())
                      : peer == peers_.end()
                          ? absl::UnavailableError(std::string("its connection is gone"))
                          : peer->second.transport->tell_writer(*lane, encoded.bytes());
  if (!sent.ok()) {
    log::debug("no {} to {}: {}", wire::type_name(message), quote(to), std::string(sent.message()));
  }
  return sent.ok();
}

void Receiver::lose(const Epoch& sender, const Status& why) {
  env_.scheduler.post(lifetime_.guard([this, sender, why] { on_writer_gone(sender, why); }));
}

void Receiver::answer_open(const control::Route& to, const std::string& req_id,
                           std::uint64_t attempt, const Status& status) {
  answer(to, wire::OpenResponse{req_id, attempt, static_cast<std::uint32_t>(status.code()),
                                wire::status_text(status)});
}

// ---- what the state machine and the transports tell --------------------------------------------

void Receiver::on_open_decided(const Request& request, const Status& status) {
  answer_open(request.route, request.id.req_id, request.id.attempt, status);
}

void Receiver::on_chunk_update(const Put& put, wire::ChunkUpdate update) {
  if (!answer(put.request->route, std::move(update))) {
    lose(put.request->id.sender, cannot_tell());
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

void Receiver::on_writer_says(const Epoch& peer, std::string_view message) {
  on_alloc(lane_route(peer), message);
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
    // What it read is kept until here as well: only now can it read no more.
    reads_.end_fenced(sender);
    table_.release_fenced(sender);
    peers_.erase(sender);
  }));
}

void Receiver::on_receiver_gone(const Epoch& /*peer*/, const Status& /*why*/) {
  // This side writes to nobody.
}

}  // namespace baton::receiver
