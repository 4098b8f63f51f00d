#include "src/receiver/request_table.h"

#include <absl/container/flat_hash_set.h>
#include <absl/strings/string_view.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "src/base/absl_view.h"
#include "src/base/log.h"

namespace baton::receiver {
namespace {

/// Far more than the batches of any chunked prefill.
constexpr std::size_t kMaxPutsPerRequest = 4'096;

/// The position of a key that stands twice, or -1.
std::int64_t find_duplicate(const std::vector<std::string>& keys) {
  absl::flat_hash_set<absl::string_view> seen;
  seen.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!seen.insert(to_absl(keys[i])).second) {
      return static_cast<std::int64_t>(i);
    }
  }
  return -1;
}

}  // namespace

RequestTable::RequestTable(Scheduler& scheduler, ChunkPool& pool, const Config& config,
                           RequestListener& listener, Task changed)
    : scheduler_(scheduler),
      pool_(pool),
      config_(config),
      listener_(listener),
      changed_(std::move(changed)),
      admission_(pool) {}

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
  if (const std::int64_t twice = find_duplicate(request->keys); twice >= 0) {
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
  if (!added.grouped && admission_.try_admit(added)) {
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
  if (message.async->is_last_batch || request->total_chunks == 0) {
    // The whole request, or all that is known of it.
    request->keys = message.keys;
  }
  if (Status fine = check_new(*request); !fine.ok()) {
    return fine;
  }
  if (!admission_.try_admit(*request)) {
    return absl::ResourceExhaustedError(fmt::format(
        "request {} can't be admitted at once ({} pages available, {} requests wait); open the "
        "request before its first put to wait for admission",
        request->id.req_id, pool_.available(), admission_.waiting()));
  }
  Request* added = request.get();
  add_request(std::move(request));
  return added;
}

// ---- allocating --------------------------------------------------------------------------------

StatusOr<wire::AllocResponse> RequestTable::allocate(const wire::AllocRequest& message,
                                                     const control::Route& route) {
  if (message.keys.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("a put of request {} has no keys", message.async->req_id));
  }
  if (const std::int64_t twice = find_duplicate(message.keys); twice >= 0) {
    return absl::InvalidArgumentError(fmt::format("key {} stands twice in one put of request {}",
                                                  message.keys[static_cast<std::size_t>(twice)],
                                                  message.async->req_id));
  }
  const RequestId id{message.baton->parties.sender_epoch, message.async->req_id,
                     message.baton->attempt};
  Request* request = find(id);
  if (request != nullptr) {
    request->renewed = scheduler_.now();
    if (const auto put = request->puts.find(message.baton->put_id);
        put != request->puts.end() && put->second->keys.size() == message.keys.size()) {
      return describe(*put->second);
    }
  } else {
    auto opened = open_implicitly(message, route);
    if (!opened.ok()) {
      return opened.status();
    }
    request = *opened;
  }
  if (Status fine = check_put(*request, message); !fine.ok()) {
    return fine;
  }
  auto owned = std::make_unique<Put>();
  Put& put = *owned;
  put.id = message.baton->put_id;
  put.request = request;
  put.keys.resize(message.keys.size());
  request->puts.emplace(put.id, std::move(owned));
  puts_.emplace(PutId{request->id.sender, put.id}, &put);

  for (std::uint32_t i = 0; i < put.keys.size(); ++i) {
    allocate_key(*request, put, i, message);
  }
  wire::AllocResponse response = describe(put);
  if (message.async->is_last_batch) {
    seal(*request);
  }
  schedule_settle();  // Hits give reserved units back.
  return response;
}

Status RequestTable::check_put(const Request& request, const wire::AllocRequest& message) const {
  if (request.state != Request::State::kOpen) {
    return absl::FailedPreconditionError(
        fmt::format("request {} takes no put now: it {}", request.id.req_id,
                    request.state <= Request::State::kReserved ? "waits for admission"
                                                               : "has had its last put"));
  }
  if (request.puts.size() >= kMaxPutsPerRequest) {
    return absl::ResourceExhaustedError(fmt::format("request {} has had {} puts, the limit",
                                                    request.id.req_id, request.puts.size()));
  }
  if (puts_.contains(PutId{request.id.sender, message.baton->put_id})) {
    return absl::AlreadyExistsError(fmt::format("put id {} of request {} was used already",
                                                message.baton->put_id, request.id.req_id));
  }
  std::uint32_t needed = 0;
  for (const std::string& key : message.keys) {
    const Chunk* chunk = pool_.find(key);
    needed += chunk != nullptr && request.held.contains(chunk) ? 0 : 1;
  }
  const std::uint32_t left = request.reserved - request.spares;
  if (needed > left) {
    return absl::ResourceExhaustedError(fmt::format(
        "request {} has {} reserved pages left, put {} needs {}: it was opened for fewer chunks",
        request.id.req_id, left, message.baton->put_id, needed));
  }
  return absl::OkStatus();
}

void RequestTable::allocate_key(Request& request, Put& put, std::uint32_t index,
                                const wire::AllocRequest& message) {
  Put::Key& key = put.keys[index];
  Chunk* chunk = pool_.find(message.keys[index]);
  if (chunk == nullptr) {
    TensorMeta meta{message.shape, message.dtype, message.fmt};
    if (index + 1 == put.keys.size()) {
      meta = *meta.with_tokens(message.last_chunk_toks);  // The decoder has checked the range.
    }
    const std::size_t bytes = *meta.bytes();
    chunk = &pool_.grant(message.keys[index], meta, bytes, {request.id.sender, put.id});
    --request.reserved;
    request.held.insert(chunk);
    key = {chunk, wire::KeyState::kGranted, false};
    ++put.unresolved;
  } else {
    const bool new_hold = request.held.insert(chunk).second;
    if (chunk->state == Chunk::State::kCommitted) {
      if (new_hold) {
        // The hit keeps a page in use instead of the reserved one.
        pool_.unreserve(1);
        --request.reserved;
        pool_.hold(*chunk);
      }
      key = {chunk, wire::KeyState::kCommitted, false};
    } else {
      if (new_hold) {
        pool_.hold(*chunk);
      }
      // Of another request: keep the unit as a spare. Of this one: if that put fails, so does this.
      key = {chunk, wire::KeyState::kInFlight, new_hold};
      request.spares += new_hold ? 1 : 0;
      chunk->waiters.push_back({&put, index});
      ++put.unresolved;
    }
  }
}

wire::AllocResponse RequestTable::describe(const Put& put) const {
  wire::AllocResponse response;
  wire::AllocResponse::Baton said;
  said.put_id = put.id;
  for (std::uint32_t i = 0; i < put.keys.size(); ++i) {
    const Put::Key& key = put.keys[i];
    const bool granted = key.state == wire::KeyState::kGranted;
    response.remote_indexes.push_back(granted ? std::int64_t{key.chunk->page} : -1);
    said.states.push_back(key.state);
    said.generations.push_back(granted ? pool_.generation_of(key.chunk->page) : 0);
    if (key.state == wire::KeyState::kCommitted) {
      response.already_sent_indexes.push_back(i);
    }
  }
  response.baton = std::move(said);
  return response;
}

void RequestTable::seal(Request& request) {
  request.state = Request::State::kSealed;
  pool_.unreserve(request.reserved - request.spares);
  request.reserved = request.spares;
  complete_if_done(request);
  schedule_settle();
}

void RequestTable::complete_if_done(Request& request) {
  if (request.state != Request::State::kSealed) {
    return;
  }
  const bool resolved = std::all_of(request.puts.begin(), request.puts.end(),
                                    [](const auto& put) { return put.second->unresolved == 0; });
  if (resolved) {
    request.state = Request::State::kComplete;
    request.timer =
        scheduler_.run_after(config_.claim_ttl, lifetime_.guard([this, id = request.id] {
          end(id,
              absl::DeadlineExceededError(fmt::format(
                  "nobody claimed request {} within {} s (pd_claim_ttl_ms)", id.req_id,
                  std::chrono::duration_cast<std::chrono::seconds>(config_.claim_ttl).count())));
        }));
    log::debug("[{}] complete: {} chunks held", request.id.req_id, request.held.size());
  }
}

// ---- committing --------------------------------------------------------------------------------

StatusOr<std::vector<Chunk*>> RequestTable::find_grants(
    const Writer& writer, std::span<const std::uint32_t> pages,
    std::span<const std::uint64_t> generations) {
  if (const absl::flat_hash_set<std::uint32_t> distinct(pages.begin(), pages.end());
      distinct.size() != pages.size()) {
    return absl::InvalidArgumentError(
        fmt::format("put {} names a page twice in one commit", writer.put_id));
  }
  std::vector<Chunk*> chunks;
  chunks.reserve(pages.size());
  std::size_t committed = 0;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    if (Chunk* chunk = pool_.granted_to(writer, pages[i], generations[i]); chunk != nullptr) {
      chunks.push_back(chunk);
    } else if (pool_.committed_by(writer, pages[i], generations[i])) {
      ++committed;
    } else {
      return absl::AbortedError(
          fmt::format("put {} has no grant for page {} under generation {} (any more)",
                      writer.put_id, pages[i], generations[i]));
    }
  }
  if (committed > 0 && !chunks.empty()) {
    return absl::AbortedError(fmt::format("put {} commits {} pages again together with {} new ones",
                                          writer.put_id, committed, chunks.size()));
  }
  return chunks;
}

void RequestTable::commit(const Writer& writer, std::span<Chunk* const> chunks) {
  // Both in a fixed order, so that a run can be repeated.
  std::map<PutId, std::pair<Put*, wire::ChunkUpdate>> updates;
  std::map<RequestId, Request*> touched;
  for (Chunk* chunk : chunks) {
    pool_.commit(*chunk);
    for (const Chunk::Waiter& waiter : std::exchange(chunk->waiters, {})) {
      Put::Key& key = waiter.put->keys[waiter.key_index];
      Request& request = *waiter.put->request;
      key.state = wire::KeyState::kCommitted;
      --waiter.put->unresolved;
      if (std::exchange(key.has_spare, false)) {
        --request.spares;
        --request.reserved;
        pool_.unreserve(1);
      }
      auto& [put, update] = updates[PutId{request.id.sender, waiter.put->id}];
      put = waiter.put;
      update.put_id = waiter.put->id;
      update.key_indexes.push_back(waiter.key_index);
      update.states.push_back(wire::KeyState::kCommitted);
      update.pages.push_back(0);
      update.generations.push_back(0);
      touched.emplace(request.id, &request);
    }
  }
  if (Put* put = find_put(writer); put != nullptr) {
    put->unresolved -= static_cast<std::uint32_t>(chunks.size());
    touched.emplace(put->request->id, put->request);
  }
  for (const auto& [id, request] : touched) {
    complete_if_done(*request);
  }
  for (auto& [id, update] : updates) {
    listener_.on_chunk_update(*update.first, std::move(update.second));
  }
  schedule_settle();
}

// ---- finding and settling ----------------------------------------------------------------------

Put* RequestTable::find_put(const Writer& writer) {
  const auto found = puts_.find(PutId{writer.sender, writer.put_id});
  return found == puts_.end() ? nullptr : found->second;
}

Request* RequestTable::find_by_req_id(std::string_view req_id) {
  const auto found = by_req_id_.find(to_absl(req_id));
  if (found == by_req_id_.end()) {
    return nullptr;
  }
  const std::vector<Request*>& named = found->second;
  const auto complete = std::find_if(named.begin(), named.end(), [](const Request* request) {
    return request->state == Request::State::kComplete;
  });
  return complete == named.end() ? named.back() : *complete;
}

Request* RequestTable::find(const RequestId& id) {
  const auto found = requests_.find(id);
  return found == requests_.end() ? nullptr : found->second.get();
}

void RequestTable::schedule_settle() {
  if (!std::exchange(settle_scheduled_, true)) {
    scheduler_.post(lifetime_.guard([this] { settle(); }));
  }
}

void RequestTable::settle() {
  settle_scheduled_ = false;
  admission_.pump([this](Request& admitted) {
    if (admitted.grouped) {
      group_->on_reserved(admitted);
      return;
    }
    scheduler_.cancel(std::exchange(admitted.timer, kNoTimer));
    listener_.on_open_decided(admitted, absl::OkStatus());
  });
  if (group_ != nullptr) {
    group_->on_room();
  }
  changed_();
}

// ---- a TP group's admission --------------------------------------------------------------------

Request* RequestTable::find_attempt(const wire::AttemptName& name) {
  for (const RequestId& id : attempts_of(name.req_id)) {
    if (id.attempt == name.attempt) {
      return find(id);
    }
  }
  return nullptr;
}

std::vector<wire::AttemptName> RequestTable::living_attempts() const {
  std::vector<wire::AttemptName> living;
  living.reserve(requests_.size());
  for (const auto& [id, request] : requests_) {
    living.push_back(id.attempt_name());
  }
  std::sort(living.begin(), living.end());
  return living;
}

void RequestTable::refuse(const RequestId& id, const Status& why) {
  if (group_ != nullptr && find_attempt(id.attempt_name()) == nullptr &&
      !ended_attempts_.contains(id)) {
    group_->on_ended(id.attempt_name(), why);
  }
}

bool RequestTable::reserve(Request& request) {
  if (request.state != Request::State::kWaiting || !admission_.fits(request)) {
    return false;
  }
  admission_.admit(request);
  return true;
}

void RequestTable::withdraw(Request& request) {
  if (request.state != Request::State::kReserved) {
    return;
  }
  admission_.withdraw(request);
  if (config_.layout.worker_id == 0) {
    admission_.enqueue(request);
  }
  schedule_settle();
}

void RequestTable::admit_reserved(Request& request) {
  if (request.state == Request::State::kReserved) {
    request.state = Request::State::kOpen;
    admission_.count_overtaking(request);
    scheduler_.cancel(std::exchange(request.timer, kNoTimer));
    listener_.on_open_decided(request, absl::OkStatus());
  }
}

}  // namespace baton::receiver
