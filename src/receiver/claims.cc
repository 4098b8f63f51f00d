#include "src/receiver/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace baton::receiver {

/// Shared by all MemoryObjs of one claim; its end, on any thread, gives the holds back on the loop.
struct Claims::Hold {
  std::vector<Chunk*> chunks;
  std::vector<MemoryBlock> blocks;
  std::shared_ptr<RegisteredBuffer> buffer;  // keeps the bytes mapped after the backend's end
  std::shared_ptr<LoopRef> loop;
  Task release;

  Hold() = default;
  ~Hold() { loop->post(std::move(release)); }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
};

Claims::Claims(Scheduler& scheduler, RequestTable& table, const Config& config,
               std::shared_ptr<RegisteredBuffer> buffer, std::shared_ptr<LoopRef> loop)
    : scheduler_(scheduler),
      table_(table),
      config_(config),
      buffer_(std::move(buffer)),
      loop_(std::move(loop)),
      digests_(scheduler) {}

void Claims::claim(std::string req_id, std::vector<std::string> keys, TimePoint deadline,
                   ClaimDone done) {
  Pending pending;
  pending.req_id = std::move(req_id);
  pending.keys = std::move(keys);
  pending.done = std::move(done);
  add(std::move(pending), deadline);
}

void Claims::get(std::string key, TimePoint deadline, GetDone done) {
  Pending pending;
  pending.keys.push_back(std::move(key));
  pending.done = [done = std::move(done)](StatusOr<Claim> claim) mutable {
    if (!claim.ok()) {
      done(claim.status());
      return;
    }
    MemoryObj got = claim->chunks().front();
    claim->release();  // The caller's is the only reference from here on.
    done(std::move(got));
  };
  add(std::move(pending), deadline);
}

void Claims::add(Pending pending, TimePoint deadline) {
  pending.id = next_id_++;
  pending.timer = scheduler_.run_at(deadline, lifetime_.guard([this, id = pending.id] {
    if (const auto found = find(id); found != pending_.end()) {
      try_finish(found);  // It may just have become possible, or had no time to be tried.
    }
    if (const auto found = find(id); found != pending_.end() && !found->verifying) {
      const std::string what =
          found->req_id.empty() ? "chunk " + found->keys.front() : "request " + found->req_id;
      finish(id, absl::DeadlineExceededError(what +
                                             " was not complete before the deadline of its claim"));
    }
  }));
  pending_.push_back(std::move(pending));
  const std::uint64_t id = pending_.back().id;
  // In a turn of its own, so that the callback is never inline.
  scheduler_.post(lifetime_.guard([this, id] {
    if (const auto found = find(id); found != pending_.end()) {
      try_finish(found);
    }
  }));
}

Claims::PendingList::iterator Claims::find(std::uint64_t id) {
  return std::find_if(pending_.begin(), pending_.end(),
                      [id](const Pending& pending) { return pending.id == id; });
}

void Claims::recheck() {
  for (auto it = pending_.begin(); it != pending_.end();) {
    try_finish(it++);
  }
}

std::optional<StatusOr<std::vector<Chunk*>>> Claims::look_up(Pending& pending) {
  std::vector<Chunk*> chunks;
  chunks.reserve(pending.keys.size());
  const Request* request = nullptr;
  if (!pending.req_id.empty()) {
    request = table_.find_by_req_id(pending.req_id);
    if (request == nullptr) {
      const Status* ended = table_.ended_with(pending.req_id);
      if (ended != nullptr) {
        return absl::AbortedError(
            fmt::format("request {} failed: {}", pending.req_id, std::string(ended->message())));
      }
      return std::nullopt;  // It may still come.
    }
    if (request->state != Request::State::kComplete) {
      return std::nullopt;
    }
    pending.request = request->id;
    const Chunk* damaged = nullptr;
    request->held.for_each([&](const Chunk* chunk) {
      if (chunk->condemned) {
        damaged = chunk;
      }
    });
    if (damaged != nullptr) {
      return absl::DataLossError(fmt::format("chunk {} of request {} was found damaged",
                                             table_.pool().key_of(*damaged), pending.req_id));
    }
  }
  for (const std::string& key : pending.keys) {
    Chunk* chunk = table_.pool().find(key);
    if (chunk == nullptr || (request != nullptr && !request->held.contains(chunk))) {
      return absl::NotFoundError(
          request == nullptr ? fmt::format("chunk {} is not here", key)
                             : fmt::format("chunk {} is not of request {}", key, pending.req_id));
    }
    if (chunk->state != Chunk::State::kCommitted || !table_.pool().may_hold(*chunk)) {
      return std::nullopt;
    }
    chunks.push_back(chunk);
  }
  return chunks;
}

void Claims::try_finish(PendingList::iterator pending) {
  if (pending->verifying) {
    return;
  }
  auto found = look_up(*pending);
  if (!found.has_value()) {
    return;
  }
  if (!found->ok()) {
    finish(pending->id, found->status());
    return;
  }
  pending->verifying = true;
  verify(pending->id, take_hold(**found), 0);
}

std::shared_ptr<Claims::Hold> Claims::take_hold(const std::vector<Chunk*>& chunks) {
  auto hold = std::make_shared<Hold>();
  hold->chunks = chunks;
  hold->buffer = buffer_;
  hold->loop = loop_;
  hold->blocks.reserve(chunks.size());
  for (Chunk* chunk : chunks) {
    table_.pool().hold(*chunk);
    hold->blocks.push_back({.data = table_.pool().bytes_of(*chunk).data(),
                            .capacity_bytes = buffer_->page_bytes(),
                            .meta = table_.pool().meta_of(*chunk),
                            .page = chunk->page,
                            .kind = buffer_->kind(),
                            .pool = buffer_.get()});
  }
  hold->release = lifetime_.guard([this, chunks] {
    for (Chunk* chunk : chunks) {
      table_.pool().unhold(*chunk);
    }
    table_.schedule_settle();
  });
  return hold;
}

void Claims::verify(std::uint64_t id, std::shared_ptr<Hold> hold, std::size_t next) {
  if (config_.integrity != Integrity::kParanoid || next == hold->chunks.size()) {
    // Whoever drops the claim drops the last reference: none is left on this stack.
    Claim claim = make_claim(hold);
    hold.reset();
    finish(id, std::move(claim));
    return;
  }
  Chunk* chunk = hold->chunks[next];
  if (chunk->vouched) {
    verify(id, std::move(hold), next + 1);
    return;
  }
  digests_.add(table_.pool().bytes_of(*chunk),
               lifetime_.guard([this, id, hold, next, chunk](std::uint64_t digest) mutable {
                 if (digest == chunk->digest) {
                   verify(id, std::move(hold), next + 1);
                   return;
                 }
                 table_.pool().condemn(*chunk);
                 finish(id, absl::DataLossError(fmt::format(
                                "chunk {} changed after its commit: digest {:016x}, committed as "
                                "{:016x}",
                                table_.pool().key_of(*chunk), digest, chunk->digest)));
               }));
}

Claim Claims::make_claim(const std::shared_ptr<Hold>& hold) {
  std::vector<MemoryObj> chunks;
  chunks.reserve(hold->blocks.size());
  for (const MemoryBlock& block : hold->blocks) {
    chunks.emplace_back(std::shared_ptr<const MemoryBlock>(hold, &block));
  }
  return Claim(std::move(chunks));
}

void Claims::finish(std::uint64_t id, StatusOr<Claim> result) {
  const auto found = find(id);
  if (found == pending_.end()) {
    return;  // close() was first.
  }
  Pending pending = std::move(*found);
  pending_.erase(found);
  scheduler_.cancel(pending.timer);
  // A claimed request's own holds end, and so do those of one whose bytes are bad.
  if (pending.request.has_value() && (result.ok() || absl::IsDataLoss(result.status()))) {
    table_.end(*pending.request, result.status());
  }
  pending.done(std::move(result));
}

bool Claims::pin(const std::string& key, TimePoint expiry) {
  return add_pin(key, expiry, false);
}

const Chunk* Claims::extend_pin(const std::string& key, TimePoint expiry, bool somebody_waits) {
  const Chunk* chunk = table_.pool().find(key);
  if (chunk == nullptr || (somebody_waits && chunk->holds == chunk->read_holds)) {
    return nullptr;
  }
  if (const auto found = pins_.find(key); found != pins_.end()) {
    // Of this chunk: an older one of that name may be condemned, and pinned still.
    const auto shared =
        std::find_if(found->second.begin(), found->second.end(),
                     [&](const Pin& pin) { return pin.is_shared && pin.chunk == chunk; });
    if (shared != found->second.end()) {
      if (expiry > shared->expiry) {
        scheduler_.cancel(shared->timer);
        shared->expiry = expiry;
        shared->timer = scheduler_.run_at(
            expiry, lifetime_.guard([this, key, id = shared->id] { end_pin(key, id); }));
      }
      return chunk;
    }
  }
  return add_pin(key, expiry, true) ? chunk : nullptr;
}

bool Claims::add_pin(const std::string& key, TimePoint expiry, bool is_shared) {
  Chunk* chunk = table_.pool().find(key);
  if (chunk == nullptr || chunk->state != Chunk::State::kCommitted ||
      !table_.pool().may_hold(*chunk)) {
    return false;
  }
  table_.pool().hold(*chunk);
  chunk->read_holds += is_shared ? 1 : 0;  // It is for readers.
  const std::uint64_t id = next_id_++;
  const TimerId timer =
      scheduler_.run_at(expiry, lifetime_.guard([this, key, id] { end_pin(key, id); }));
  pins_[key].push_back({id, chunk, timer, expiry, is_shared});
  return true;
}

bool Claims::unpin(const std::string& key) {
  const auto found = pins_.find(key);
  if (found == pins_.end()) {
    return false;
  }
  const auto oldest = std::find_if(found->second.begin(), found->second.end(),
                                   [](const Pin& pin) { return !pin.is_shared; });
  if (oldest == found->second.end()) {
    return false;
  }
  end_pin(key, oldest->id);
  return true;
}

void Claims::end_pin(const std::string& key, std::uint64_t id) {
  std::vector<Pin>& pins = pins_.at(key);
  const auto pin = std::find_if(pins.begin(), pins.end(),
                                [id](const Pin& candidate) { return candidate.id == id; });
  scheduler_.cancel(pin->timer);
  pin->chunk->read_holds -= pin->is_shared ? 1 : 0;
  table_.pool().unhold(*pin->chunk);
  pins.erase(pin);
  if (pins.empty()) {
    pins_.erase(key);
  }
  table_.schedule_settle();
}

void Claims::close(const Status& why) {
  while (!pending_.empty()) {
    finish(pending_.front().id, why);
  }
}

}  // namespace baton::receiver
