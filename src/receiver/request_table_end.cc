// How requests end: RequestTable's half that takes things back.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/absl_view.h"
#include "src/base/log.h"
#include "src/receiver/request_table.h"

namespace baton::receiver {
namespace {

/// Ends that are remembered for claims that come late.
constexpr std::size_t kEndsRemembered = 1'024;

}  // namespace

void RequestTable::drain(const Writer& writer, std::span<const std::uint32_t> pages,
                         std::span<const std::uint64_t> generations) {
  for (std::size_t i = 0; i < pages.size(); ++i) {
    if (pool_.granted_to(writer, pages[i], generations[i]) != nullptr) {
      const Put* put = find_put(writer);  // A granted page always has its put.
      end(RequestId(put->request->id),
          absl::AbortedError(fmt::format("put {} gave its pages back", writer.put_id)));
    }
    if (const Writer* adopter = writer.put_id == 0
                                    ? pool_.adopter_of(writer.sender, pages[i], generations[i])
                                    : nullptr;
        adopter != nullptr) {
      if (const Put* put = find_put(*adopter); put != nullptr) {
        end(RequestId(put->request->id),
            absl::AbortedError(fmt::format("put {} gave its pages back", put->id)));
      }
    }
    pool_.return_ahead(writer.sender, pages[i], generations[i]);
    pool_.release_quarantined(writer, pages[i], generations[i]);
  }
  schedule_settle();
}

void RequestTable::end(const RequestId& ended_id, const Status& why) {
  const RequestId id = ended_id;  // It may be the request's own, which dies here.
  const auto found = requests_.find(id);
  if (found == requests_.end()) {
    return;
  }
  const std::unique_ptr<Request> request = std::move(found->second);
  requests_.erase(found);
  std::vector<Request*>& named = by_req_id_.at(id.req_id);
  std::erase(named, request.get());
  if (named.empty()) {
    by_req_id_.erase(id.req_id);
  }
  scheduler_.cancel(request->timer);
  if (request->state == Request::State::kWaiting) {
    admission_.forget(*request);  // A follower's is in no queue, and nothing happens.
  }
  release_holds(*request);
  for (const auto& [put_id, put] : request->puts) {
    puts_.erase(PutId{id.sender, put_id});
  }
  Share& share = shares_.at(id.sender);
  share.chunks -= request->chunk_count();
  if (--share.requests == 0) {
    shares_.erase(id.sender);
  }
  if (request->state == Request::State::kComplete || !why.ok() || !request->puts.empty()) {
    remember_end(*request, why);
  }
  if (!why.ok()) {
    log::info("[{}] ended: {}", id.req_id, std::string(why.message()));
  }
  if (group_ != nullptr && (!why.ok() || request->state != Request::State::kComplete)) {
    group_->on_ended(id.attempt_name(),
                     why.ok() ? absl::CancelledError(std::string("it was given up")) : why);
  }
  schedule_settle();
}

std::vector<RequestId> RequestTable::attempts_of(const std::string& req_id) const {
  std::vector<RequestId> attempts;
  if (const auto named = by_req_id_.find(req_id); named != by_req_id_.end()) {
    for (const Request* request : named->second) {
      attempts.push_back(request->id);
    }
  }
  return attempts;
}

void RequestTable::release(const RequestId& id) {
  const auto found = requests_.find(id);
  if (found != requests_.end() && found->second->state != Request::State::kComplete) {
    end(id, absl::OkStatus());
  }
}

void RequestTable::drop_waits(Request& request) {
  for (const auto& [id, put] : request.puts) {
    for (Put::Key& key : put->keys) {
      if (key.state != wire::KeyState::kInFlight) {
        continue;
      }
      key.chunk->drop_waiters_of(put.get());
      if (std::exchange(key.has_spare, false)) {
        --request.spares;
        request.held.erase(key.chunk);
        pool_.unhold(*key.chunk);  // Another request's chunk; it stays in flight.
      }
      key = {};
    }
  }
}

void RequestTable::release_holds(Request& request) {
  // Its own waits first, so that no chunk is handed to a request that ends.
  drop_waits(request);
  pool_.unreserve(request.reserved);
  request.reserved = 0;
  // Then the pages that it was writing: they go to quarantine until the writer is drained or
  // fenced, and whoever awaits them takes over.
  for (const auto& [id, put] : request.puts) {
    for (const Put::Key& key : put->keys) {
      if (key.state == wire::KeyState::kGranted && key.chunk->state == Chunk::State::kInFlight &&
          pool_.granted_to({request.id.sender, put->id}, key.chunk->page,
                           pool_.generation_of(key.chunk->page)) == key.chunk) {
        request.held.erase(key.chunk);
        hand_over(*key.chunk);
      }
    }
  }
  // Oldest first: that is the order in which they will be evicted.
  for (Chunk* chunk : request.held.oldest_first()) {
    pool_.unhold(*chunk);
  }
  request.held.clear();
}

void RequestTable::hand_over(Chunk& chunk) {
  if (chunk.waiters == nullptr) {
    pool_.quarantine(chunk);
    return;
  }
  const std::string key = pool_.key_of(chunk);
  const TensorMeta meta = pool_.meta_of(chunk);
  const std::size_t bytes = chunk.bytes;
  for (const Chunk::Waiter& waiter : *chunk.waiters) {
    waiter.put->request->held.erase(&chunk);
  }
  const std::vector<Chunk::Waiter> waiters = pool_.quarantine(chunk);

  const auto heir = std::find_if(waiters.begin(), waiters.end(), [](const Chunk::Waiter& waiter) {
    return waiter.put->keys[waiter.key_index].has_spare;
  });
  if (heir == waiters.end()) {
    return;  // Nobody awaits it: every request that waits for another's chunk keeps a spare.
  }
  Put& put = *heir->put;
  Request& request = *put.request;
  Chunk& fresh = pool_.grant(key, meta, bytes, {request.id.sender, put.id});
  --request.spares;
  --request.reserved;
  request.held.insert(&fresh);
  put.keys[heir->key_index] = {&fresh, wire::KeyState::kGranted, false};
  for (const Chunk::Waiter& waiter : waiters) {
    if (waiter.put == &put && waiter.key_index == heir->key_index) {
      continue;
    }
    // Several puts of one request may wait; the request holds the chunk once.
    if (waiter.put->request->held.insert(&fresh)) {
      pool_.hold(fresh);
    }
    waiter.put->keys[waiter.key_index].chunk = &fresh;
    fresh.add_waiter(waiter);
  }
  wire::ChunkUpdate update;
  update.put_id = put.id;
  update.key_indexes = {heir->key_index};
  update.states = {wire::KeyState::kGranted};
  update.pages = {fresh.page};
  update.generations = {pool_.generation_of(fresh.page)};
  log::info("[{}] takes over a chunk whose writer failed", request.id.req_id);
  listener_.on_chunk_update(put, std::move(update));
}

void RequestTable::end_unfinished(const Epoch& sender, const Status& why) {
  std::vector<RequestId> unfinished;
  for (const auto& [id, request] : requests_) {
    if (id.sender == sender && request->state != Request::State::kComplete) {
      unfinished.push_back(id);
    }
  }
  pool_.quarantine_ahead(sender);
  // In a fixed order, so that a run can be repeated.
  std::sort(unfinished.begin(), unfinished.end());
  // First those that would inherit from the others: a dead sender takes nothing over.
  for (const RequestId& id : unfinished) {
    drop_waits(*requests_.at(id));
  }
  for (const RequestId& id : unfinished) {
    end(id, why);
  }
}

bool RequestTable::renew(const RequestId& id) {
  if (Request* request = find(id); request != nullptr) {
    request->renewed = scheduler_.now();
    return true;
  }
  const auto ended = ended_attempts_.find(id);
  return ended != ended_attempts_.end() && ended->second.ok();
}

std::vector<RequestId> RequestTable::silent_since(TimePoint then) const {
  std::vector<RequestId> silent;
  for (const auto& [id, request] : requests_) {
    if (request->state != Request::State::kComplete && request->renewed < then) {
      silent.push_back(id);
    }
  }
  std::sort(silent.begin(), silent.end());
  return silent;
}

void RequestTable::release_fenced(const Epoch& sender) {
  const std::uint32_t released = pool_.release_quarantined(sender);
  log::info("sender {} is fenced: {} quarantined pages are free", sender.brief(), released);
  schedule_settle();
}

void RequestTable::remember_end(const Request& request, const Status& why) {
  const RequestId& id = request.id;
  if (ended_ring_.size() < kEndsRemembered) {
    ended_ring_.push_back(id);
  } else {
    ended_.erase(ended_ring_[ended_next_].req_id);
    ended_attempts_.erase(ended_ring_[ended_next_]);
    ended_ring_[ended_next_] = id;
    ended_next_ = (ended_next_ + 1) % kEndsRemembered;
  }
  if (!why.ok()) {
    ended_[id.req_id] = why;
  }
  if (request.state > Request::State::kReserved) {
    // One that waited was granted nothing: it may be opened again. One that was released after a
    // put may not: were that put to come twice, it could take pages ahead that its sender fills
    // anew.
    ended_attempts_[id] = why.ok() && request.state != Request::State::kComplete
                              ? absl::CancelledError(std::string("it was released"))
                              : why;
  }
}

const Status* RequestTable::ended_with(std::string_view req_id) const {
  const auto found = ended_.find(to_absl(req_id));
  return found == ended_.end() ? nullptr : &found->second;
}

}  // namespace baton::receiver
