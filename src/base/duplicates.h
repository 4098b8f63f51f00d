// Does anything stand twice in a list?
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace baton {

/// A hash table of positions, reused from list to list: memory once, and none for each element.
class Duplicates {
 public:
  /// The first position whose element stands at an earlier one, too; -1 if there is none. `tag(i)`
  /// is 32 bits about the element at `i` that whoever made the list can't choose, spread well in
  /// the lowest; `same(i, j)` compares two whose tags are the same.
  template <typename Tag, typename Same>
  std::int64_t find(std::size_t count, Tag tag, Same same) {
    constexpr std::uint32_t kEmpty = std::numeric_limits<std::uint32_t>::max();
    const std::size_t slots = std::bit_ceil(2 * count + 1);
    positions_.assign(slots, kEmpty);
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t own = tag(i);
      std::size_t at = own & (slots - 1);
      for (; positions_[at] != kEmpty; at = (at + 1) & (slots - 1)) {
        const std::uint32_t other = positions_[at];
        if (tag(other) == own && same(other, i)) {
          return i;
        }
      }
      positions_[at] = i;
    }
    return -1;
  }

 private:
  std::vector<std::uint32_t> positions_;
};

}  // namespace baton
