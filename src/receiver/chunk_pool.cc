#include "src/receiver/chunk_pool.h"

#include <fmt/format.h>

#include <cassert>
#include <cstring>
#include <utility>

#include "src/base/absl_view.h"

namespace baton::receiver {
namespace {

constexpr int kPoison = 0xDB;

}  // namespace

ChunkPool::ChunkPool(RegisteredBuffer& buffer, std::uint32_t page_count, bool poison_pages)
    : buffer_(buffer), poison_pages_(poison_pages), allocator_(page_count), pages_(page_count) {}

ChunkPool::Counts ChunkPool::counts() const {
  Counts counts;
  counts.total = allocator_.page_count();
  counts.free = allocator_.free_count();
  counts.granted = granted_;
  counts.quarantined = quarantined_;
  counts.retained = static_cast<std::uint32_t>(retained_.size());
  counts.held = counts.total - counts.free - granted_ - quarantined_ - counts.retained;
  counts.reserved = reserved_;
  return counts;
}

std::uint32_t ChunkPool::available() const {
  return allocator_.free_count() + static_cast<std::uint32_t>(retained_.size()) - reserved_;
}

Chunk* ChunkPool::find(std::string_view key) {
  const auto found = index_.find(to_absl(key));
  return found == index_.end() ? nullptr : found->second.get();
}

void ChunkPool::reserve(std::uint32_t pages) {
  assert(pages <= available());
  reserved_ += pages;
}

void ChunkPool::unreserve(std::uint32_t pages) {
  assert(pages <= reserved_);
  reserved_ -= pages;
}

std::uint32_t ChunkPool::take_page() {
  if (allocator_.free_count() == 0) {
    evict(*retained_.front());
  }
  std::uint32_t page = 0;
  const bool taken = allocator_.take({&page, 1});
  assert(taken);
  static_cast<void>(taken);
  return page;
}

Chunk& ChunkPool::grant(const std::string& key, const TensorMeta& meta, std::size_t bytes,
                        const Writer& writer) {
  assert(reserved_ > 0 && bytes <= buffer_.page_bytes());
  --reserved_;
  auto owned = std::make_unique<Chunk>();
  Chunk& chunk = *owned;
  chunk.key = key;
  chunk.meta = meta;
  chunk.bytes = bytes;
  chunk.page = take_page();
  chunk.holds = 1;
  pages_[chunk.page] = {PageState::kGranted, ++last_generation_, writer, &chunk, bytes, 0};
  ++granted_;
  if (poison_pages_) {
    const auto page = buffer_.page(chunk.page);
    std::memset(page.data(), kPoison, page.size());
  }
  index_.emplace(key, std::move(owned));
  return chunk;
}

Chunk* ChunkPool::granted_to(const Writer& writer, std::uint32_t page, std::uint64_t generation) {
  if (page >= pages_.size()) {
    return nullptr;
  }
  const Page& entry = pages_[page];
  const bool granted = entry.state == PageState::kGranted && entry.generation == generation &&
                       entry.writer == writer;
  return granted ? entry.chunk : nullptr;
}

bool ChunkPool::committed_by(const Writer& writer, std::uint32_t page,
                             std::uint64_t generation) const {
  return page < pages_.size() && pages_[page].state == PageState::kCommitted &&
         pages_[page].generation == generation && pages_[page].writer == writer;
}

bool ChunkPool::may_write(const Epoch& sender, std::uint32_t page, std::uint64_t generation,
                          std::uint64_t offset_bytes, std::uint64_t length_bytes) const {
  if (page >= pages_.size()) {
    return false;
  }
  const Page& entry = pages_[page];
  return (entry.state == PageState::kGranted || entry.state == PageState::kQuarantined) &&
         entry.generation == generation && entry.writer.sender == sender &&
         offset_bytes <= entry.granted_bytes && length_bytes <= entry.granted_bytes - offset_bytes;
}

void ChunkPool::commit(Chunk& chunk) {
  assert(pages_[chunk.page].state == PageState::kGranted);
  pages_[chunk.page].state = PageState::kCommitted;
  --granted_;
  chunk.state = Chunk::State::kCommitted;
}

void ChunkPool::hold(Chunk& chunk) {
  if (chunk.holds == 0) {
    retained_.erase(chunk.lru);
  }
  ++chunk.holds;
}

void ChunkPool::unhold(Chunk& chunk) {
  assert(chunk.holds > 0);
  --chunk.holds;
  if (chunk.holds > 0 || chunk.state == Chunk::State::kInFlight) {
    return;
  }
  if (chunk.condemned) {
    free_page(chunk.page);
    condemned_.erase(&chunk);
  } else {
    chunk.lru = retained_.insert(retained_.end(), &chunk);
  }
}

void ChunkPool::condemn(Chunk& chunk) {
  assert(chunk.state == Chunk::State::kCommitted && chunk.holds > 0);
  if (chunk.condemned) {
    return;
  }
  const auto found = index_.find(chunk.key);
  chunk.condemned = true;
  condemned_.emplace(&chunk, std::move(found->second));
  index_.erase(found);
}

std::vector<Chunk::Waiter> ChunkPool::quarantine(Chunk& chunk) {
  Page& entry = pages_[chunk.page];
  assert(entry.state == PageState::kGranted);
  entry.state = PageState::kQuarantined;
  entry.chunk = nullptr;
  --granted_;
  ++quarantined_;
  std::vector<Chunk::Waiter> waiters = std::move(chunk.waiters);
  erase(chunk);
  return waiters;
}

bool ChunkPool::release_quarantined(const Writer& writer, std::uint32_t page,
                                    std::uint64_t generation) {
  if (page >= pages_.size()) {
    return false;
  }
  const Page& entry = pages_[page];
  if (entry.state != PageState::kQuarantined || entry.generation != generation ||
      entry.writer != writer) {
    return false;
  }
  --quarantined_;
  free_page(page);
  return true;
}

std::uint32_t ChunkPool::release_quarantined(const Epoch& sender) {
  std::uint32_t released = 0;
  for (std::uint32_t page = 0; page < pages_.size(); ++page) {
    if (pages_[page].state == PageState::kQuarantined && pages_[page].writer.sender == sender) {
      --quarantined_;
      free_page(page);
      ++released;
    }
  }
  return released;
}

std::vector<ChunkPool::Quarantined> ChunkPool::age_quarantine() {
  std::vector<Quarantined> waiting;
  waiting.reserve(quarantined_);
  for (std::uint32_t page = 0; waiting.size() < quarantined_; ++page) {
    if (Page& entry = pages_[page]; entry.state == PageState::kQuarantined) {
      waiting.push_back({entry.writer, page, entry.generation, ++entry.rounds_quarantined});
    }
  }
  return waiting;
}

bool ChunkPool::remove(std::string_view key) {
  Chunk* chunk = find(key);
  if (chunk == nullptr || chunk->state != Chunk::State::kCommitted || chunk->holds > 0) {
    return false;
  }
  evict(*chunk);
  return true;
}

std::uint32_t ChunkPool::evict_all_retained() {
  std::uint32_t evicted = 0;
  while (!retained_.empty()) {
    evict(*retained_.front());
    ++evicted;
  }
  return evicted;
}

void ChunkPool::evict(Chunk& chunk) {
  retained_.erase(chunk.lru);
  free_page(chunk.page);
  erase(chunk);
}

void ChunkPool::free_page(std::uint32_t page) {
  // The generation stays, so that a late word about the old grant still differs from the next one.
  pages_[page].state = PageState::kFree;
  pages_[page].chunk = nullptr;
  allocator_.give_back(page);
}

void ChunkPool::erase(Chunk& chunk) {
  index_.erase(index_.find(chunk.key));
}

std::string ChunkPool::audit() const {
  Counts seen;
  seen.total = static_cast<std::uint32_t>(pages_.size());
  for (std::uint32_t page = 0; page < pages_.size(); ++page) {
    const Page& entry = pages_[page];
    const bool free = entry.state == PageState::kFree;
    if (free == allocator_.is_taken(page)) {
      return fmt::format("page {}: state and allocator disagree", page);
    }
    const bool has_chunk =
        entry.state == PageState::kGranted || entry.state == PageState::kCommitted;
    if (has_chunk != (entry.chunk != nullptr) || (has_chunk && entry.chunk->page != page)) {
      return fmt::format("page {}: state and chunk disagree", page);
    }
    if (has_chunk && entry.chunk->read_holds > entry.chunk->holds) {
      return fmt::format("page {}: {} readers, but {} holds", page, entry.chunk->read_holds,
                         entry.chunk->holds);
    }
    seen.free += free ? 1 : 0;
    seen.granted += entry.state == PageState::kGranted ? 1 : 0;
    seen.quarantined += entry.state == PageState::kQuarantined ? 1 : 0;
    if (entry.state == PageState::kCommitted) {
      (entry.chunk->holds > 0 ? seen.held : seen.retained) += 1;
    }
  }
  const Counts counted = counts();
  if (seen.free != counted.free || seen.granted != counted.granted ||
      seen.quarantined != counted.quarantined || seen.held != counted.held ||
      seen.retained != counted.retained) {
    return "the counters differ from what the pages say";
  }
  if (reserved_ > counted.free + counted.retained) {
    return fmt::format("{} pages are reserved, only {} free and {} retained", reserved_,
                       counted.free, counted.retained);
  }
  return "";
}

}  // namespace baton::receiver
