#include "src/receiver/request_table.h"

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

}  // namespace

RequestTable::RequestTable(Scheduler& scheduler, ChunkPool& pool, const Config& config,
                           FaultHooks& faults, RequestListener& listener, Task changed)
    : scheduler_(scheduler),
      pool_(pool),
      config_(config),
      faults_(faults),
      listener_(listener),
      changed_(std::move(changed)),
      admission_(pool) {}

// ---- allocating --------------------------------------------------------------------------------

StatusOr<wire::AllocResponse> RequestTable::allocate(const wire::AllocRequest& message,
                                                     const control::Route& route) {
  if (message.keys.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("a put of request {} has no keys", message.async->req_id));
  }
  pool_.look_up(message.keys, keys_);
  find_ahead(message);
  if (const std::int64_t twice = keys_.duplicate; twice >= 0) {
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

  request->held.reserve(request->held.size() + put.keys.size());
  // The chunks that are there first: once they are held, no grant can evict one of them.
  for (std::uint32_t i = 0; i < put.keys.size(); ++i) {
    if (keys_.entries[i].chunk != nullptr) {
      take_hit(*request, put, i);
    }
  }
  const TensorMeta full{message.shape, message.dtype, message.fmt};
  const std::size_t full_bytes = *full.bytes();
  for (std::uint32_t i = 0; i < put.keys.size(); ++i) {
    if (keys_.entries[i].chunk != nullptr) {
      continue;
    }
    if (i + 1 < put.keys.size()) {
      grant_page(*request, put, i, message.keys[i], full, full_bytes);
    } else {
      // The decoder has checked the range.
      const TensorMeta last = *full.with_tokens(message.last_chunk_toks);
      grant_page(*request, put, i, message.keys[i], last, *last.bytes());
    }
  }
  if (message.eager.has_value() || message.ahead.has_value()) {
    const Status placed =
        message.eager.has_value() ? place(put, message) : commit_ahead(put, message);
    if (!placed.ok()) {
      withdraw_grants(put, placed);
      return placed;
    }
  }
  wire::AllocResponse response = describe(put);
  if (message.async->is_last_batch) {
    seal(*request);
  }
  schedule_settle();  // Hits give reserved units back.
  return response;
}

Status RequestTable::check_put(const Request& request, const wire::AllocRequest& message) {
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
  for (KeyBatch::Entry& entry : keys_.entries) {
    entry.is_held = entry.is_held || (entry.chunk != nullptr && request.held.contains(entry.chunk));
    needed += entry.is_held ? 0 : 1;
  }
  needed -= std::min(count_ahead(), request.brought);
  const std::uint32_t left = request.reserved - request.spares;
  if (needed > left) {
    return absl::ResourceExhaustedError(fmt::format(
        "request {} has {} reserved pages left, put {} needs {}: it was opened for fewer chunks",
        request.id.req_id, left, message.baton->put_id, needed));
  }
  return absl::OkStatus();
}

void RequestTable::take_hit(Request& request, Put& put, std::uint32_t index) {
  const KeyBatch::Entry& entry = keys_.entries[index];
  Chunk& chunk = *entry.chunk;
  if (!entry.is_held) {
    pool_.hold(chunk);
    request.held.insert(&chunk);
  }
  if (chunk.state == Chunk::State::kCommitted) {
    if (!entry.is_held) {
      // The hit keeps a page in use instead of the reserved one.
      pool_.unreserve(1);
      --request.reserved;
    }
    put.keys[index] = {&chunk, wire::KeyState::kCommitted, false};
    return;
  }
  // Of another request: keep the unit as a spare. Of this one: if that put fails, so does this.
  put.keys[index] = {&chunk, wire::KeyState::kInFlight, !entry.is_held};
  request.spares += entry.is_held ? 0 : 1;
  chunk.add_waiter({&put, index});
  ++put.unresolved;
}

void RequestTable::grant_page(Request& request, Put& put, std::uint32_t index, std::string_view key,
                              const TensorMeta& meta, std::size_t bytes) {
  if (keys_.entries[index].ahead != nullptr) {
    adopt_page(request, put, index, key, meta, bytes);
    return;
  }
  Chunk& chunk = pool_.grant(key, keys_, index, meta, bytes, {request.id.sender, put.id});
  --request.reserved;
  request.held.insert(&chunk);
  put.keys[index] = {&chunk, wire::KeyState::kGranted, false};
  ++put.unresolved;
}

wire::AllocResponse RequestTable::describe(const Put& put) const {
  wire::AllocResponse response;
  wire::AllocResponse::Baton said;
  said.put_id = put.id;
  response.remote_indexes.reserve(put.keys.size());
  said.states.reserve(put.keys.size());
  said.generations.reserve(put.keys.size());
  for (std::uint32_t i = 0; i < put.keys.size(); ++i) {
    const Put::Key& key = put.keys[i];
    const bool granted =
        key.state == wire::KeyState::kGranted || key.state == wire::KeyState::kPlaced;
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
  request.brought = 0;
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
  // The pages are the writer's own, so nobody has chosen their numbers.
  if (seen_.find(
          pages.size(), [&](std::size_t i) { return pages[i]; },
          [](std::size_t, std::size_t) { return true; }) >= 0) {
    return absl::InvalidArgumentError(
        fmt::format("put {} names a page twice in one commit", writer.put_id));
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
    for (const Chunk::Waiter& waiter : chunk->take_waiters()) {
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

bool RequestTable::somebody_waits() const {
  return admission_.waiting() > 0 ||
         (group_ != nullptr &&
          std::any_of(requests_.begin(), requests_.end(), [](const auto& entry) {
            return entry.second->state == Request::State::kWaiting;
          }));
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

}  // namespace baton::receiver
