// Memory for tables that are read at random.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace baton {

/// For a container whose size is known from the beginning. Large blocks lie on huge pages where the
/// system has some: with pages of 4 KiB, nearly every access to a large table costs a walk through
/// the page tables beside the access itself.
template <typename T>
class HugePageAllocator {
 public:
  using value_type = T;

  HugePageAllocator() = default;
  template <typename U>
  explicit HugePageAllocator(const HugePageAllocator<U>& /*other*/) {}

  T* allocate(std::size_t count) {
    constexpr std::size_t kHugePageBytes = std::size_t{2} << 20U;
    const std::size_t bytes = count * sizeof(T);
    const std::size_t alignment = bytes < kHugePageBytes ? kLineBytes : kHugePageBytes;
    const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void* block = std::aligned_alloc(alignment, rounded);
    if (block == nullptr) {
      throw std::bad_alloc();
    }
    if (alignment == kHugePageBytes) {
      static_cast<void>(madvise(block, rounded, MADV_HUGEPAGE));  // It works without them, too.
    }
    return static_cast<T*>(block);
  }
  void deallocate(T* block, std::size_t /*count*/) { std::free(block); }

  template <typename U>
  bool operator==(const HugePageAllocator<U>& /*other*/) const {
    return true;
  }

 private:
  static constexpr std::size_t kLineBytes = 64;
  static_assert(alignof(T) <= kLineBytes);
};

}  // namespace baton
