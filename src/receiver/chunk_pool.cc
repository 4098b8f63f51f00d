#include "src/receiver/chunk_pool.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <limits>
#include <utility>

namespace baton::receiver {
namespace {

constexpr int kPoison = 0xDB;

/// Keys that are fetched at a time: enough to hide the memory's latency, few enough to stay in the
/// first cache.
constexpr std::size_t kBlock = 32;

}  // namespace

void Chunk::add_waiter(Waiter waiter) {
  if (waiters == nullptr) {
    waiters = std::make_unique<std::vector<Waiter>>();
  }
  waiters->push_back(waiter);
}

void Chunk::drop_waiters_of(const Put* put) {
  if (waiters != nullptr) {
    std::erase_if(*waiters, [put](const Waiter& waiter) { return waiter.put == put; });
  }
}

std::vector<Chunk::Waiter> Chunk::take_waiters() {
  const auto taken = std::move(waiters);
  return taken == nullptr ? std::vector<Waiter>() : std::move(*taken);
}

ChunkPool::ChunkPool(RegisteredBuffer& buffer, std::uint32_t page_count, bool poison_pages)
    : buffer_(buffer),
      poison_pages_(poison_pages),
      allocator_(page_count),
      chunks_(page_count),
      index_(page_count),
      retained_(page_count) {
  for (std::uint32_t page = 0; page < page_count; ++page) {
    chunks_[page].page = page;
  }
}

ChunkPool::Counts ChunkPool::counts() const {
  Counts counts;
  counts.total = allocator_.page_count();
  counts.free = allocator_.free_count();
  counts.ahead = ahead_count_;
  counts.granted = granted_;
  counts.quarantined = quarantined_;
  counts.retained = retained_.size();
  counts.held =
      counts.total - counts.free - ahead_count_ - granted_ - quarantined_ - counts.retained;
  counts.reserved = reserved_;
  return counts;
}

std::uint32_t ChunkPool::available() const {
  return allocator_.free_count() + retained_.size() - reserved_;
}

// ---- finding -----------------------------------------------------------------------------------

Chunk* ChunkPool::find(std::string_view key) {
  ChunkNames::Cursor cursor;
  return find(names_.read(key, cursor), tag_of(key));
}

Chunk* ChunkPool::find(const ChunkName& name, std::uint32_t tag) {
  if (name.family == ChunkName::kNoFamily) {
    return nullptr;
  }
  const std::uint32_t page =
      index_.find(tag, [&](std::uint32_t candidate) { return chunks_[candidate].name() == name; });
  return page == PageIndex::kNone ? nullptr : &chunks_[page];
}

void ChunkPool::look_up(const wire::KeyList& keys, KeyBatch& batch) {
  names_.forget();
  batch.cursor = {};
  batch.entries.resize(keys.size());
  std::uint32_t missed = 0;
  read_names(keys, 0, batch);
  for (std::size_t begin = 0; begin < keys.size(); begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, keys.size());
    for (std::size_t i = begin; i < end; ++i) {
      if (const std::uint32_t page = index_.guess(batch.entries[i].tag); page != PageIndex::kNone) {
        __builtin_prefetch(&chunks_[page], 1);  // A hold touches the first line alone.
        retained_.prefetch(page);
      }
    }
    read_names(keys, end, batch);  // Of the next ones, while all that is fetched.
    for (std::size_t i = begin; i < end; ++i) {
      KeyBatch::Entry& entry = batch.entries[i];
      entry.chunk = find(entry.name, entry.tag);
      if (entry.chunk == nullptr) {
        if (missed < allocator_.free_count()) {
          prefetch(allocator_.peek(missed++));  // It will be granted for this key.
        }
      } else if (entry.chunk->holds == 0) {
        retained_.prefetch_neighbours(entry.chunk->page);
      }
    }
  }
  batch.duplicate = batch.seen.find(
      keys.size(), [&](std::uint32_t i) { return batch.entries[i].tag; },
      [&](std::uint32_t i, std::uint32_t j) { return keys[i] == keys[j]; });
}

void ChunkPool::read_names(const wire::KeyList& keys, std::size_t begin, KeyBatch& batch) {
  const std::size_t end = std::min(begin + kBlock, keys.size());
  for (std::size_t i = begin; i < end; ++i) {
    const std::string_view key = keys[i];
    const std::uint32_t tag = tag_of(key);
    index_.prefetch(tag);
    const ChunkName name = names_.read(key, batch.cursor);
    batch.entries[i] = {name, batch.cursor.split, tag, false, nullptr};
  }
}

void ChunkPool::prefetch(std::uint32_t page) const {
  const auto* lines = reinterpret_cast<const std::byte*>(&chunks_[page]);
  __builtin_prefetch(lines, 1);
  __builtin_prefetch(lines + sizeof(Chunk) / 2, 1);
}

// ---- reserving and granting --------------------------------------------------------------------

void ChunkPool::reserve(std::uint32_t pages) {
  assert(pages <= available());
  reserved_ += pages;
}

void ChunkPool::unreserve(std::uint32_t pages) {
  assert(pages <= reserved_);
  reserved_ -= pages;
}

void ChunkPool::prefetch_victims(std::uint32_t first) {
  constexpr int kAhead = 8;  // Twice, for the slot is known once the record is there.
  const auto fetch = [this](std::uint32_t page) {
    if (page < chunks_.size()) {  // Not the list's end.
      prefetch(page);
    }
  };
  if (first != next_victim_) {
    near_victim_ = first;
    for (int i = 0; i < kAhead; ++i) {
      near_victim_ = retained_.next(near_victim_);
      fetch(near_victim_);
    }
    far_victim_ = near_victim_;
    for (int i = 0; i < kAhead; ++i) {
      far_victim_ = retained_.next(far_victim_);
      fetch(far_victim_);
    }
  } else {
    near_victim_ = retained_.next(near_victim_);
    far_victim_ = retained_.next(far_victim_);
    fetch(far_victim_);
  }
  if (near_victim_ < chunks_.size()) {
    index_.prefetch(chunks_[near_victim_].tag);
  }
  next_victim_ = retained_.next(first);
}

std::uint32_t ChunkPool::take_page() {
  if (allocator_.free_count() == 0) {
    const std::uint32_t page = retained_.front();
    prefetch_victims(page);
    evict(chunks_[page]);
  }
  std::uint32_t page = 0;
  const bool taken = allocator_.take({&page, 1});
  assert(taken);
  static_cast<void>(taken);
  return page;
}

Chunk& ChunkPool::grant(std::string_view key, const TensorMeta& meta, std::size_t bytes,
                        const Writer& writer) {
  ChunkNames::Cursor cursor;
  ChunkName name = names_.read(key, cursor);
  names_.acquire(key, name, cursor.split, cursor);
  return grant(name, tag_of(key), meta, bytes, writer);
}

Chunk& ChunkPool::grant(std::string_view key, KeyBatch& batch, std::size_t index,
                        const TensorMeta& meta, std::size_t bytes, const Writer& writer) {
  KeyBatch::Entry& entry = batch.entries[index];
  names_.acquire(key, entry.name, entry.split, batch.cursor);
  entry.chunk = &grant(entry.name, entry.tag, meta, bytes, writer);
  return *entry.chunk;
}

Chunk& ChunkPool::grant(const ChunkName& name, std::uint32_t tag, const TensorMeta& meta,
                        std::size_t bytes, const Writer& writer) {
  assert(reserved_ > 0 && bytes <= buffer_.page_bytes());
  --reserved_;
  Chunk& chunk = chunks_[take_page()];
  chunk.generation = ++last_generation_;
  chunk.came_ahead = false;
  this->name(chunk, name, tag, meta, bytes, writer);
  poison(chunk);
  return chunk;
}

void ChunkPool::name(Chunk& chunk, const ChunkName& name, std::uint32_t tag, const TensorMeta& meta,
                     std::size_t bytes, const Writer& writer) {
  chunk.hash = name.hash;
  chunk.family = name.family;
  chunk.tag = tag;
  chunk.holds = 1;
  chunk.read_holds = 0;
  chunk.state = Chunk::State::kInFlight;
  chunk.place = Place::kGranted;
  chunk.verifying = false;
  chunk.vouched = false;
  chunk.condemned = false;
  chunk.writer = writer;
  chunk.digest = 0;
  chunk.bytes = bytes;
  chunk.meta = metas_.acquire(meta);
  chunk.rounds_quarantined = 0;
  ++granted_;
  index_.insert(tag, chunk.page);
}

void ChunkPool::poison(const Chunk& chunk) {
  if (poison_pages_) {
    const auto page = buffer_.page(chunk.page);
    std::memset(page.data(), kPoison, page.size());
  }
}

Chunk* ChunkPool::granted_to(const Writer& writer, std::uint32_t page, std::uint64_t generation) {
  if (page >= chunks_.size()) {
    return nullptr;
  }
  Chunk& chunk = chunks_[page];
  const bool granted =
      chunk.place == Place::kGranted && chunk.generation == generation && chunk.writer == writer;
  return granted ? &chunk : nullptr;
}

bool ChunkPool::committed_by(const Writer& writer, std::uint32_t page,
                             std::uint64_t generation) const {
  return page < chunks_.size() && chunks_[page].place == Place::kCommitted &&
         chunks_[page].generation == generation && chunks_[page].writer == writer;
}

bool ChunkPool::may_write(const Epoch& sender, std::uint32_t page, std::uint64_t generation,
                          std::uint64_t offset_bytes, std::uint64_t length_bytes) const {
  if (page >= chunks_.size()) {
    return false;
  }
  const Chunk& chunk = chunks_[page];
  return (chunk.place == Place::kGranted || chunk.place == Place::kAhead ||
          chunk.place == Place::kQuarantined) &&
         chunk.generation == generation && chunk.writer.sender == sender &&
         offset_bytes <= chunk.bytes && length_bytes <= chunk.bytes - offset_bytes;
}

void ChunkPool::commit(Chunk& chunk) {
  assert(chunk.place == Place::kGranted);
  chunk.place = Place::kCommitted;
  --granted_;
  chunk.state = Chunk::State::kCommitted;
}

void ChunkPool::hold(Chunk& chunk) {
  if (chunk.holds == 0) {
    retained_.remove(chunk.page);
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
    forget(chunk);
  } else {
    retained_.push_back(chunk.page);
  }
}

void ChunkPool::condemn(Chunk& chunk) {
  assert(chunk.state == Chunk::State::kCommitted && chunk.holds > 0);
  if (chunk.condemned) {
    return;
  }
  chunk.condemned = true;
  index_.erase(chunk.tag, chunk.page);
}

std::vector<Chunk::Waiter> ChunkPool::quarantine(Chunk& chunk) {
  assert(chunk.place == Place::kGranted);
  chunk.place = Place::kQuarantined;
  --granted_;
  ++quarantined_;
  forget(chunk);
  return chunk.take_waiters();
}

bool ChunkPool::release_quarantined(const Writer& writer, std::uint32_t page,
                                    std::uint64_t generation) {
  if (page >= chunks_.size()) {
    return false;
  }
  const Chunk& chunk = chunks_[page];
  const bool is_writer = chunk.writer == writer || (chunk.came_ahead && writer.put_id == 0 &&
                                                    chunk.writer.sender == writer.sender);
  if (chunk.place != Place::kQuarantined || chunk.generation != generation || !is_writer) {
    return false;
  }
  --quarantined_;
  free_page(page);
  return true;
}

std::uint32_t ChunkPool::release_quarantined(const Epoch& sender) {
  std::uint32_t released = 0;
  for (const Chunk& chunk : chunks_) {
    if (chunk.place == Place::kQuarantined && chunk.writer.sender == sender) {
      --quarantined_;
      free_page(chunk.page);
      ++released;
    }
  }
  return released;
}

std::vector<ChunkPool::Quarantined> ChunkPool::age_quarantine() {
  std::vector<Quarantined> waiting;
  waiting.reserve(quarantined_);
  for (std::uint32_t page = 0; waiting.size() < quarantined_; ++page) {
    if (Chunk& chunk = chunks_[page]; chunk.place == Place::kQuarantined) {
      waiting.push_back({chunk.writer, page, chunk.generation, ++chunk.rounds_quarantined});
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
    evict(chunks_[retained_.front()]);
    ++evicted;
  }
  return evicted;
}

void ChunkPool::evict(Chunk& chunk) {
  retained_.remove(chunk.page);
  free_page(chunk.page);
  forget(chunk);
}

void ChunkPool::free_page(std::uint32_t page) {
  // The generation stays, so that a late word about the old grant still differs from the next one.
  chunks_[page].place = Place::kFree;
  allocator_.give_back(page);
}

void ChunkPool::forget(Chunk& chunk) {
  if (!chunk.condemned) {
    index_.erase(chunk.tag, chunk.page);
  }
  names_.release(chunk.family);
  metas_.release(chunk.meta);
  chunk.holds = 0;
}

}  // namespace baton::receiver
