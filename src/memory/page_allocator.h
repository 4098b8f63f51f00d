// Which pages of a registered buffer are free.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace baton {

/// Hands out page numbers, each in constant time. Exact: a page given back twice, or one that was
/// never taken, is a bug of ours and ends the process.
///
/// Threads: none; the owner serialises.
class PageAllocator {
 public:
  explicit PageAllocator(std::uint32_t page_count);

  std::uint32_t page_count() const { return static_cast<std::uint32_t>(taken_.size()); }
  std::uint32_t free_count() const { return static_cast<std::uint32_t>(free_.size()); }

  /// Fills `pages` whole, or takes nothing and returns false.
  bool take(std::span<std::uint32_t> pages);
  void give_back(std::uint32_t page);
  bool is_taken(std::uint32_t page) const { return taken_[page]; }
  /// The page that take() gives `later` pages from now, if none is given back before; there must be
  /// that many.
  std::uint32_t peek(std::uint32_t later) const { return free_[free_.size() - 1 - later]; }

 private:
  std::vector<std::uint32_t> free_;  // a stack: the page used last is the warmest
  std::vector<bool> taken_;
};

}  // namespace baton
