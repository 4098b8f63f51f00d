#include "src/memory/page_allocator.h"

#include <cstdlib>

namespace baton {

PageAllocator::PageAllocator(std::uint32_t page_count) : taken_(page_count, false) {
  free_.reserve(page_count);
  for (std::uint32_t page = page_count; page > 0; --page) {
    free_.push_back(page - 1);
  }
}

bool PageAllocator::take(std::span<std::uint32_t> pages) {
  if (pages.size() > free_.size()) {
    return false;
  }
  for (std::uint32_t& page : pages) {
    page = free_.back();
    free_.pop_back();
    taken_[page] = true;
  }
  return true;
}

void PageAllocator::give_back(std::uint32_t page) {
  if (page >= taken_.size() || !taken_[page]) {
    std::abort();
  }
  taken_[page] = false;
  free_.push_back(page);
}

}  // namespace baton
