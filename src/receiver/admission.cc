#include "src/receiver/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace baton::receiver {
Status Admission::check_possible(const Request& request) const {
  const std::uint32_t total = pool_.counts().total;
  if (request.chunk_count() <= total) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      fmt::format("request {} needs {} pages, the receiver has {} in all: it can never fit; "
                  "enlarge the receiver's pd_buffer_size or limit prompts by pd_max_prefill_len",
                  request.id.req_id, request.chunk_count(), total));
}

bool Admission::fits(const Request& request) {
  pool_.look_up(request.keys, keys_);
  return fits(request, keys_);
}

bool Admission::fits(const Request& request, const KeyBatch& keys) const {
  const std::uint32_t room = pool_.available() + request.brought;
  return needed(request, keys) <= room;
}

bool Admission::awaits_pages_ahead(const Request& request) const {
  // Where another rank has no room, pages here would not help.
  return request.ranks == Request::Ranks::kReady &&
         needed(request, keys_) <= pool_.available() + pool_.counts().ahead;
}

std::uint32_t Admission::needed(const Request& request, const KeyBatch& keys) {
  if (keys.entries.empty()) {
    return request.total_chunks;
  }
  std::uint32_t needed = 0;
  for (const KeyBatch::Entry& entry : keys.entries) {
    const Chunk* chunk = entry.chunk;
    const bool in_use =
        chunk != nullptr && chunk->state == Chunk::State::kCommitted && chunk->holds > 0;
    // An absent chunk takes a page; one in flight keeps a spare for the case that its writer fails;
    // a retained one stops being evictable.
    needed += in_use ? 0 : 1;
  }
  return needed;
}

void Admission::admit(Request& request) {
  pool_.look_up(request.keys, keys_);
  admit(request, keys_);
}

void Admission::admit(Request& request, KeyBatch& keys) {
  request.state = request.grouped ? Request::State::kReserved : Request::State::kOpen;
  if (keys.entries.empty()) {
    request.reserved = request.total_chunks - request.brought;
    pool_.reserve(request.reserved);
    return;
  }
  request.held.reserve(keys.entries.size());
  for (KeyBatch::Entry& entry : keys.entries) {
    if (entry.chunk != nullptr && entry.chunk->state == Chunk::State::kCommitted) {
      pool_.hold(*entry.chunk);
      request.held.insert(entry.chunk);
      entry.is_held = true;
    } else {
      ++request.reserved;
    }
  }
  request.reserved -= request.brought;
  pool_.reserve(request.reserved);
}

void Admission::withdraw(Request& request) {
  pool_.unreserve(std::exchange(request.reserved, 0));
  // Oldest first, as they were.
  for (Chunk* chunk : request.held.oldest_first()) {
    pool_.unhold(*chunk);
  }
  request.held.clear();
  request.state = Request::State::kWaiting;
}

void Admission::count_overtaking(const Request& request) {
  for (Request* waiting : queue_) {
    waiting->overtaken += waiting->arrival < request.arrival ? 1 : 0;
  }
}

void Admission::enqueue(Request& request) {
  if (request.arrival == 0) {
    request.arrival = ++last_arrival_;
  }
  const auto later = std::find_if(queue_.begin(), queue_.end(), [&](const Request* other) {
    return other->arrival > request.arrival;
  });
  queue_.insert(later, &request);
}

bool Admission::try_admit(Request& request, KeyBatch& keys) {
  if (!queue_.empty() || !fits(request, keys)) {
    return false;
  }
  admit(request, keys);
  return true;
}

void Admission::pump(absl::FunctionRef<void(Request&)> admitted) {
  for (auto it = queue_.begin(); it != queue_.end();) {
    Request& request = **it;
    if (request.ranks == Request::Ranks::kForming) {
      ++it;
    } else if (request.ranks == Request::Ranks::kReady && fits(request)) {
      if (!request.grouped) {
        count_overtaking(request);
      }
      it = queue_.erase(it);
      admit(request);
      admitted(request);
    } else if (request.overtaken >= kMaxOvertaken || awaits_pages_ahead(request)) {
      return;
    } else {
      ++it;
    }
  }
}

}  // namespace baton::receiver
