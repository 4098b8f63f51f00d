// How requests begin: RequestTable's half that lets them in.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/receiver/request_table.h"

namespace baton::receiver {

// ---- opening -----------------------------------------------------------------------------------

Status RequestTable::open(const wire::OpenRequest& message, const control::Route& route) {
  auto request = std::make_unique<Request>();
  request->id = {message.parties.sender_epoch, message.req_id, message.attempt};
  request->route = route;
  request->keys = message.keys;
  request->total_chunks = message.total_chunks;
  if (Request* known = find(request->id); known != nullptr) {
    known->renewed = scheduler_.now();
    if (known->state > Request::State::kReserved) {
      listener_.on_open_decided(*known, absl::OkStatus());
    }
    return absl::OkStatus();  // Said again; a waiting one is answered when it is decided.
  }
  if (request->keys.empty() && request->total_chunks == 0) {
    return absl::InvalidArgumentError(
        fmt::format("request {} names neither keys nor total_chunks", message.req_id));
  }
  pool_.look_up(request->keys, keys_);
  if (const std::int64_t twice = keys_.duplicate; twice >= 0) {
    return absl::InvalidArgumentError(fmt::format("key {} stands twice in request {}",
                                                  message.keys[static_cast<std::size_t>(twice)],
                                                  message.req_id));
  }
  if (Status fine = check_new(*request); !fine.ok()) {
    return fine;
  }
  Request& added = *request;
  added.grouped = group_ != nullptr;
  add_request(std::move(request));
  if (!added.grouped && admission_.try_admit(added, keys_)) {
    listener_.on_open_decided(added, absl::OkStatus());
    return absl::OkStatus();
  }
  if (!added.grouped || config_.layout.worker_id == 0) {
    admission_.enqueue(added);  // Followers have no queue: the leader's is the group's.
  }
  const Duration wait =
      std::min<Duration>(std::chrono::milliseconds(message.timeout_ms), config_.max_admission_wait);
  added.timer =
      scheduler_.run_after(wait, lifetime_.guard([this, id = added.id] { time_out(id); }));
  if (added.grouped) {
    added.ranks = Request::Ranks::kForming;
    group_->on_opened(added);
  }
  schedule_settle();  // It may be small enough to overtake.
  return absl::OkStatus();
}

Status RequestTable::check_new(const Request& request) const {
  const RequestId& id = request.id;
  if (const auto ended = ended_attempts_.find(id); ended != ended_attempts_.end()) {
    // A later put of it, or a message that comes twice, must not bring it back without its chunks.
    return absl::AbortedError(fmt::format(
        "request {} (attempt {:x}) has ended: {}; a retry needs another attempt", id.req_id,
        id.attempt, ended->second.ok() ? "it was claimed" : std::string(ended->second.message())));
  }
  if (group_ != nullptr && by_req_id_.contains(id.req_id)) {
    const std::vector<RequestId> living = attempts_of(id.req_id);
    if (std::any_of(living.begin(), living.end(), [&](const RequestId& other) {
          return other.attempt == id.attempt && other.sender != id.sender;
        })) {
      return absl::AlreadyExistsError(fmt::format(
          "request {} (attempt {:x}) of another sender lives here: the ranks of a group "
          "know requests by these two, so the attempt must be random",
          id.req_id, id.attempt));
    }
  }
  if (const Status* elsewhere = group_ == nullptr ? nullptr : group_->failure(id.attempt_name());
      elsewhere != nullptr) {
    return absl::AbortedError(fmt::format("request {} (attempt {:x}) failed at another rank: {}",
                                          id.req_id, id.attempt,
                                          std::string(elsewhere->message())));
  }
  if (requests_.size() >= config_.max_open_requests) {
    return absl::ResourceExhaustedError(
        fmt::format("{} requests are open, the limit (pd_max_open_requests) is {}",
                    requests_.size(), config_.max_open_requests));
  }
  const auto found = shares_.find(id.sender);
  const Share share = found == shares_.end() ? Share{} : found->second;
  if (share.requests >= config_.max_peer_requests) {
    return absl::ResourceExhaustedError(
        fmt::format("this sender has {} requests open, the limit (pd_max_peer_requests) is {}",
                    share.requests, config_.max_peer_requests));
  }
  if (config_.max_peer_chunks > 0 &&
      share.chunks + request.chunk_count() > config_.max_peer_chunks) {
    return absl::ResourceExhaustedError(
        fmt::format("the requests of this sender have {} chunks, request {} has {} more, the limit "
                    "(pd_max_peer_chunks) is {}",
                    share.chunks, id.req_id, request.chunk_count(), config_.max_peer_chunks));
  }
  return admission_.check_possible(request);
}

void RequestTable::add_request(std::unique_ptr<Request> request) {
  request->renewed = scheduler_.now();
  Share& share = shares_[request->id.sender];
  ++share.requests;
  share.chunks += request->chunk_count();
  by_req_id_[request->id.req_id].push_back(request.get());
  const RequestId id = request->id;
  requests_.emplace(id, std::move(request));
}

void RequestTable::time_out(const RequestId& id) {
  const auto found = requests_.find(id);
  if (found == requests_.end() || found->second->state > Request::State::kReserved) {
    return;
  }
  const auto counts = pool_.counts();
  const Status why = absl::DeadlineExceededError(fmt::format(
      "request {} was not admitted in time: of {} pages {} are free, {} retained, {} in use, {} "
      "quarantined, {} reserved; {} requests wait{}",
      id.req_id, counts.total, counts.free, counts.retained, counts.held + counts.granted,
      counts.quarantined, counts.reserved, admission_.waiting(),
      found->second->grouped ? "; all ranks of the TP group must open it and have room" : ""));
  found->second->timer = kNoTimer;
  listener_.on_open_decided(*found->second, why);
  end(id, why);
}

StatusOr<Request*> RequestTable::open_implicitly(const wire::AllocRequest& message,
                                                 const control::Route& route) {
  auto request = std::make_unique<Request>();
  request->id = {message.baton->parties.sender_epoch, message.async->req_id,
                 message.baton->attempt};
  request->route = route;
  request->total_chunks = message.async->total_chunks;
  KeyBatch unknown;
  const bool all_known = message.async->is_last_batch || request->total_chunks == 0;
  if (all_known) {
    // These keys are the whole request, or all that is known of it.
    request->total_chunks = static_cast<std::uint32_t>(message.keys.size());
  }
  if (Status fine = check_new(*request); !fine.ok()) {
    return fine;
  }
  request->brought = std::min(count_ahead(), request->total_chunks);
  if (!admission_.try_admit(*request, all_known ? keys_ : unknown)) {
    ++turned_away_;
    return absl::ResourceExhaustedError(fmt::format(
        "request {} can't be admitted at once ({} pages available, {} requests wait); open the "
        "request before its first put to wait for admission",
        request->id.req_id, pool_.available(), admission_.waiting()));
  }
  Request* added = request.get();
  add_request(std::move(request));
  return added;
}

}  // namespace baton::receiver
