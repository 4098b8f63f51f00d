// From a key's tag to the page that may hold its chunk.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "src/base/huge_pages.h"

namespace baton::receiver {

/// A hash table of page numbers, open-addressed, never more than half full: no allocation after its
/// construction, and nothing is moved but by erase(). A tag is 32 bits of a keyed hash, so that no
/// peer can choose keys that meet. Different keys may have one tag: whoever looks compares.
class PageIndex {
 public:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  /// For at most `page_count` pages.
  explicit PageIndex(std::uint32_t page_count)
      : slots_(std::bit_ceil(2 * std::size_t{page_count} + 2)),
        shift_(static_cast<unsigned>(std::countl_zero(slots_.size() - 1))) {}

  void prefetch(std::uint32_t tag) const { __builtin_prefetch(&slots_[home(tag)]); }

  /// The first page under that tag, whether or not it is the right one; kNone.
  std::uint32_t guess(std::uint32_t tag) const {
    return find(tag, [](std::uint32_t /*page*/) { return true; });
  }

  /// The page under that tag for which `is_it(page)`; kNone.
  template <typename IsIt>
  std::uint32_t find(std::uint32_t tag, IsIt is_it) const {
    for (std::size_t at = home(tag); slots_[at].page != kNone; at = after(at)) {
      if (slots_[at].tag == tag && is_it(slots_[at].page)) {
        return slots_[at].page;
      }
    }
    return kNone;
  }

  /// The page must not be there.
  void insert(std::uint32_t tag, std::uint32_t page) {
    std::size_t at = home(tag);
    while (slots_[at].page != kNone) {
      at = after(at);
    }
    slots_[at] = {tag, page};
  }

  /// The page must be there.
  void erase(std::uint32_t tag, std::uint32_t page) {
    std::size_t hole = home(tag);
    while (slots_[hole].page != page) {
      hole = after(hole);
    }
    // Whoever stands behind the hole, and would be looked for before it, moves into it.
    for (std::size_t at = after(hole); slots_[at].page != kNone; at = after(at)) {
      if (distance(home(slots_[at].tag), at) >= distance(hole, at)) {
        slots_[hole] = slots_[at];
        hole = at;
      }
    }
    slots_[hole] = {};
  }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t page = kNone;
  };

  std::size_t home(std::uint32_t tag) const {
    // The tag's first bits; with more slots than 2^32, spread over them.
    return static_cast<std::size_t>((std::uint64_t{tag} << 32U) >> shift_);
  }
  std::size_t after(std::size_t at) const { return (at + 1) & (slots_.size() - 1); }
  std::size_t distance(std::size_t from, std::size_t to) const {
    return (to - from) & (slots_.size() - 1);
  }

  std::vector<Slot, HugePageAllocator<Slot>> slots_;
  unsigned shift_;
};

}  // namespace baton::receiver
