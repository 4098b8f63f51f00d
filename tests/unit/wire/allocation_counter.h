// Counts what a test program allocates. Defines the global operator new: include it in one source
// file of a program only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace baton::testing {

inline std::atomic<std::size_t> allocated_bytes{0};

/// Bytes that were asked for since its construction; what was freed meanwhile still counts.
class AllocationCounter {
 public:
  std::size_t bytes() const { return allocated_bytes - before_; }

 private:
  std::size_t before_ = allocated_bytes;
};

}  // namespace baton::testing

// Not inlined: g++ 12 would see malloc and free, and warn of a mismatch with new and delete.
// NOLINTBEGIN(misc-definitions-in-headers)
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  baton::testing::allocated_bytes += bytes;
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) {
    return memory;
  }
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t /*bytes*/) noexcept {
  std::free(memory);
}
// NOLINTEND(misc-definitions-in-headers)
