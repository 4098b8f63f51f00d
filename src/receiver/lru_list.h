// The order in which pages are evicted.
#pragma once

#include <cassert>
#include <cstdint>
#include <vector>

#include "src/base/huge_pages.h"

namespace baton::receiver {

/// A list of page numbers, least recently used first, linked through a table: no allocation after
/// its construction, eight bytes a page.
class LruList {
 public:
  /// For pages below `page_count`.
  explicit LruList(std::uint32_t page_count) : links_(page_count + std::size_t{1}) {
    links_[page_count] = {page_count, page_count};
  }

  std::uint32_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::uint32_t front() const {
    assert(size_ > 0);
    return links_.back().next;
  }

  /// It must not be in the list.
  void push_back(std::uint32_t page) {
    const auto end = static_cast<std::uint32_t>(links_.size() - 1);
    const std::uint32_t last = links_[end].previous;
    links_[page] = {last, end};
    links_[last].next = page;
    links_[end].previous = page;
    ++size_;
  }

  /// It must be in the list.
  void remove(std::uint32_t page) {
    const Link link = links_[page];
    links_[link.previous].next = link.next;
    links_[link.next].previous = link.previous;
    --size_;
  }

  /// The one behind it, or the list's end, which is no page. Of one that has left the list: who
  /// was behind it then.
  std::uint32_t next(std::uint32_t page) const { return links_[page].next; }

  void prefetch(std::uint32_t page) const { __builtin_prefetch(&links_[page], 1); }
  /// What remove() writes, if it is in the list.
  void prefetch_neighbours(std::uint32_t page) const {
    __builtin_prefetch(&links_[links_[page].previous], 1);
    __builtin_prefetch(&links_[links_[page].next], 1);
  }

 private:
  struct Link {
    std::uint32_t previous = 0;
    std::uint32_t next = 0;
  };
  std::vector<Link, HugePageAllocator<Link>> links_;  // by page; the last is the list's two ends
  std::uint32_t size_ = 0;
};

}  // namespace baton::receiver
