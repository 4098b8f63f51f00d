// The chunks that a request holds.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "src/receiver/chunk_pool.h"

namespace baton::receiver {

/// A set of chunks, open-addressed, at most half full: one request holds thousands, and each of
/// them is looked for, inserted and taken out. No allocation but to grow. Where a chunk lies in it
/// follows from its place in the pool, which no peer chooses.
class HeldChunks {
 public:
  std::size_t size() const { return size_; }
  bool contains(const Chunk* chunk) const {
    return !slots_.empty() && slots_[find(chunk)] == chunk;
  }

  /// For so many in all.
  void reserve(std::size_t count) {
    if (2 * count > slots_.size()) {
      grow(std::bit_ceil(std::max(2 * count, kMinSlots)));
    }
  }

  /// False if it is there already.
  bool insert(Chunk* chunk) {
    reserve(size_ + 1);
    const std::size_t at = find(chunk);
    if (slots_[at] != nullptr) {
      return false;
    }
    slots_[at] = chunk;
    ++size_;
    return true;
  }

  /// Nothing happens if it isn't there.
  void erase(const Chunk* chunk) {
    if (!contains(chunk)) {
      return;
    }
    std::size_t hole = find(chunk);
    // Whoever stands behind the hole, and would be looked for before it, moves into it.
    for (std::size_t at = after(hole); slots_[at] != nullptr; at = after(at)) {
      if (((at - home(slots_[at])) & mask()) >= ((at - hole) & mask())) {
        slots_[std::exchange(hole, at)] = slots_[at];
      }
    }
    slots_[hole] = nullptr;
    --size_;
  }

  void clear() {
    slots_.clear();
    size_ = 0;
  }

  /// In no order.
  template <typename Do>
  void for_each(Do&& act) const {
    for (Chunk* const chunk : slots_) {
      if (chunk != nullptr) {
        act(chunk);
      }
    }
  }

  /// In the order of their grants, which is the one in which they are to be evicted.
  std::vector<Chunk*> oldest_first() const {
    std::vector<std::pair<std::uint64_t, Chunk*>> aged;
    aged.reserve(size_);
    for_each([&](Chunk* chunk) { aged.emplace_back(chunk->generation, chunk); });
    std::sort(aged.begin(), aged.end());
    std::vector<Chunk*> chunks;
    chunks.reserve(size_);
    for (const auto& [generation, chunk] : aged) {
      chunks.push_back(chunk);
    }
    return chunks;
  }

 private:
  static constexpr std::size_t kMinSlots = 16;

  std::size_t mask() const { return slots_.size() - 1; }
  std::size_t after(std::size_t at) const { return (at + 1) & mask(); }
  /// The first bits of a product that spreads neighbours.
  std::size_t home(const Chunk* chunk) const {
    const auto place = reinterpret_cast<std::uintptr_t>(chunk) / sizeof(Chunk);
    return static_cast<std::size_t>(place * 0x9E3779B97F4A7C15U >> shift_);
  }
  /// Where it is, or would be inserted. There are slots, and one is free.
  std::size_t find(const Chunk* chunk) const {
    std::size_t at = home(chunk);
    while (slots_[at] != nullptr && slots_[at] != chunk) {
      at = after(at);
    }
    return at;
  }
  void grow(std::size_t slots) {
    const std::vector<Chunk*> before = std::exchange(slots_, std::vector<Chunk*>(slots));
    shift_ = std::numeric_limits<std::size_t>::digits - std::countr_zero(slots);
    for (Chunk* const chunk : before) {
      if (chunk != nullptr) {
        slots_[find(chunk)] = chunk;
      }
    }
  }

  std::vector<Chunk*> slots_;
  std::size_t size_ = 0;
  int shift_ = 0;
};

}  // namespace baton::receiver
