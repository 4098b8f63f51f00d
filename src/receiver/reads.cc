#include "src/receiver/reads.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace baton::receiver {

// ---- beginning ---------------------------------------------------------------------------------

Status Reads::check(const Reader* reader, const wire::ReadRequest& message) const {
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(config_.claim_ttl);
  if (std::chrono::milliseconds(message.timeout_ms) > limit) {
    return absl::InvalidArgumentError(
        fmt::format("read {} may take {} ms; the receiver holds chunks for at most {} ms "
                    "(pd_claim_ttl_ms)",
                    message.read_id, message.timeout_ms, limit.count()));
  }
  if (const std::int64_t twice = keys_.duplicate; twice >= 0) {
    return absl::InvalidArgumentError(fmt::format("key {} stands twice in one read",
                                                  message.keys[static_cast<std::size_t>(twice)]));
  }
  if (reader != nullptr && reader->reads.size() >= config_.max_peer_reads) {
    return absl::ResourceExhaustedError(
        fmt::format("this reader has {} reads under way here, the limit (pd_max_peer_reads) is {}",
                    reader->reads.size(), config_.max_peer_reads));
  }
  return absl::OkStatus();
}

bool Reads::may_hit(const Chunk* chunk, bool somebody_waits) const {
  if (chunk == nullptr || chunk->state != Chunk::State::kCommitted) {
    return false;
  }
  if (chunk->holds > chunk->read_holds) {
    return true;  // It stays for somebody else's sake anyway.
  }
  // Readers that follow one another must not keep a page for ever from a request that waits for it.
  return !somebody_waits && table_.pool().may_hold(*chunk);
}

StatusOr<wire::ReadResponse> Reads::begin(const wire::ReadRequest& message) {
  const Epoch& who = message.parties.sender_epoch;
  const auto known = readers_.find(who);
  Reader* reader = known == readers_.end() ? nullptr : &known->second;
  if (reader != nullptr) {
    if (const auto read = reader->reads.find(message.read_id); read != reader->reads.end()) {
      if (read->second.key_count != message.keys.size()) {
        return absl::AlreadyExistsError(fmt::format("read id {} was used already, for {} keys",
                                                    message.read_id, read->second.key_count));
      }
      return describe(message.read_id, read->second);  // Said again.
    }
  }
  table_.pool().look_up(message.keys, keys_);
  if (Status fine = check(reader, message); !fine.ok()) {
    return fine;
  }
  Read read;
  read.key_count = static_cast<std::uint32_t>(message.keys.size());
  read.due = scheduler_.now() + std::chrono::milliseconds(message.timeout_ms);
  const std::uint64_t before = reader == nullptr ? 0 : reader->chunks;
  Reader& holder = readers_[who];
  const bool somebody_waits = table_.somebody_waits();
  for (std::uint32_t i = 0; i < read.key_count; ++i) {
    if (Chunk* chunk = keys_.entries[i].chunk; may_hit(chunk, somebody_waits)) {
      hold(holder, *chunk);
      read.hits.push_back({i, chunk});
    }
  }
  const std::size_t hits = read.hits.size();
  wire::ReadResponse response = describe(message.read_id, read);
  holder.reads.emplace(message.read_id, std::move(read));
  if (config_.max_peer_chunks > 0 && before + hits > config_.max_peer_chunks) {
    end(who, message.read_id);
    return absl::ResourceExhaustedError(fmt::format(
        "the reads of this reader hold {} chunks, read {} would hold {} more, the limit "
        "(pd_max_peer_chunks) is {}",
        before, message.read_id, hits, config_.max_peer_chunks));
  }
  return response;
}

wire::ReadResponse Reads::describe(std::uint64_t read_id, const Read& read) const {
  wire::ReadResponse response;
  response.read_id = read_id;
  response.states.assign(read.key_count, wire::ReadState::kMiss);
  response.pages.assign(read.key_count, 0);
  response.generations.assign(read.key_count, 0);
  response.lengths.assign(read.key_count, 0);
  if (config_.integrity != Integrity::kOff) {
    response.digests.assign(read.key_count, 0);
  }
  for (const Hit& hit : read.hits) {
    const Chunk& chunk = *hit.chunk;
    response.states[hit.key_index] = wire::ReadState::kHit;
    response.pages[hit.key_index] = chunk.page;
    response.generations[hit.key_index] = table_.pool().generation_of(chunk.page);
    response.lengths[hit.key_index] = chunk.bytes;
    if (!response.digests.empty()) {
      response.digests[hit.key_index] = chunk.digest;
    }
  }
  return response;
}

void Reads::hold(Reader& reader, Chunk& chunk) {
  table_.pool().hold(chunk);
  ++chunk.read_holds;
  ++reader.chunks;
  HeldPage& page = reader.pages[chunk.page];
  page.generation = table_.pool().generation_of(chunk.page);
  page.bytes = chunk.bytes;
  ++page.reads;
}

// ---- ending ------------------------------------------------------------------------------------

void Reads::unhold(Reader& reader, const Read& read) {
  for (const Hit& hit : read.hits) {
    const auto page = reader.pages.find(hit.chunk->page);
    if (--page->second.reads == 0) {
      reader.pages.erase(page);
    }
    --reader.chunks;
    --hit.chunk->read_holds;
    table_.pool().unhold(*hit.chunk);
  }
  table_.schedule_settle();
}

void Reads::end(const Epoch& reader, std::uint64_t read_id) {
  const auto found = readers_.find(reader);
  if (found == readers_.end()) {
    return;
  }
  const auto read = found->second.reads.find(read_id);
  if (read == found->second.reads.end()) {
    return;
  }
  unhold(found->second, read->second);
  found->second.reads.erase(read);
  if (found->second.reads.empty()) {
    readers_.erase(found);
  }
}

void Reads::end_fenced(const Epoch& reader) {
  const auto found = readers_.find(reader);
  if (found == readers_.end()) {
    return;
  }
  for (const auto& [read_id, read] : found->second.reads) {
    unhold(found->second, read);
  }
  readers_.erase(found);
}

// ---- asking ------------------------------------------------------------------------------------

bool Reads::may_read(const Epoch& reader, std::uint32_t page, std::uint64_t generation,
                     std::uint64_t offset_bytes, std::uint64_t length_bytes) const {
  const auto found = readers_.find(reader);
  if (found == readers_.end()) {
    return false;
  }
  const auto held = found->second.pages.find(page);
  return held != found->second.pages.end() && held->second.generation == generation &&
         offset_bytes <= held->second.bytes && length_bytes <= held->second.bytes - offset_bytes;
}

std::vector<Reads::Overdue> Reads::find_overdue() {
  const TimePoint now = scheduler_.now();
  std::vector<Overdue> overdue;
  for (auto& [reader, holder] : readers_) {
    for (auto& [read_id, read] : holder.reads) {
      if (now > read.due + config_.lease) {
        overdue.push_back({reader, {}, true});
      } else if (now > read.due + config_.lease / 2 && !std::exchange(read.reminded, true)) {
        overdue.push_back({reader, describe(read_id, read), false});
      }
    }
  }
  return overdue;
}

std::size_t Reads::count() const {
  std::size_t count = 0;
  for (const auto& [reader, holder] : readers_) {
    count += holder.reads.size();
  }
  return count;
}

}  // namespace baton::receiver
