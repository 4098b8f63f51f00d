// Pages that a sender has before there is a put: ChunkPool's half. docs/protocol.md, "Pages ahead".
#include <cassert>
#include <utility>

#include "src/receiver/chunk_pool.h"

namespace baton::receiver {

Chunk& ChunkPool::grant_ahead(const Epoch& sender) {
  assert(available() > 0);
  Chunk& chunk = chunks_[take_page()];
  chunk.place = Place::kAhead;
  chunk.generation = ++last_generation_;
  chunk.writer = {sender, 0};
  chunk.came_ahead = true;
  chunk.bytes = buffer_.page_bytes();  // Nobody knows yet how long the chunk will be.
  chunk.rounds_quarantined = 0;
  ahead_[sender].insert(chunk.page);
  ++ahead_count_;
  poison(chunk);
  return chunk;
}

const std::set<std::uint32_t>& ChunkPool::ahead_of(const Epoch& sender) const {
  static const std::set<std::uint32_t> kNone;
  const auto found = ahead_.find(sender);
  return found == ahead_.end() ? kNone : found->second;
}

std::vector<Epoch> ChunkPool::holders_ahead() const {
  std::vector<Epoch> holders;
  holders.reserve(ahead_.size());
  for (const auto& [sender, pages] : ahead_) {
    holders.push_back(sender);
  }
  return holders;
}

Chunk* ChunkPool::find_ahead(const Epoch& sender, std::uint32_t page, std::uint64_t generation) {
  if (page >= chunks_.size()) {
    return nullptr;
  }
  Chunk& chunk = chunks_[page];
  const bool is_ahead = chunk.place == Place::kAhead && chunk.generation == generation &&
                        chunk.writer.sender == sender;
  return is_ahead ? &chunk : nullptr;
}

Chunk& ChunkPool::adopt(Chunk& ahead, std::string_view key, KeyBatch& batch, std::size_t index,
                        const TensorMeta& meta, std::size_t bytes, const Writer& writer) {
  assert(ahead.place == Place::kAhead && ahead.writer.sender == writer.sender);
  forget_ahead(ahead);
  KeyBatch::Entry& entry = batch.entries[index];
  names_.acquire(key, entry.name, entry.split, batch.cursor);
  name(ahead, entry.name, entry.tag, meta, bytes, writer);
  return ahead;
}

bool ChunkPool::return_ahead(const Epoch& sender, std::uint32_t page, std::uint64_t generation) {
  const Chunk* chunk = find_ahead(sender, page, generation);
  if (chunk == nullptr) {
    return false;
  }
  forget_ahead(*chunk);
  free_page(page);
  return true;
}

void ChunkPool::quarantine_ahead(const Epoch& sender) {
  const std::set<std::uint32_t> pages = ahead_of(sender);
  for (const std::uint32_t page : pages) {
    forget_ahead(chunks_[page]);
    chunks_[page].place = Place::kQuarantined;
    ++quarantined_;
  }
}

const Writer* ChunkPool::adopter_of(const Epoch& sender, std::uint32_t page,
                                    std::uint64_t generation) const {
  if (page >= chunks_.size()) {
    return nullptr;
  }
  const Chunk& chunk = chunks_[page];
  const bool adopted = chunk.place == Place::kGranted && chunk.came_ahead &&
                       chunk.generation == generation && chunk.writer.sender == sender;
  return adopted ? &chunk.writer : nullptr;
}

void ChunkPool::forget_ahead(const Chunk& chunk) {
  const auto of_sender = ahead_.find(chunk.writer.sender);
  of_sender->second.erase(chunk.page);
  if (of_sender->second.empty()) {
    ahead_.erase(of_sender);
  }
  --ahead_count_;
}

}  // namespace baton::receiver
