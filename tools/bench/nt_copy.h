// The reference for copies: stores past the cache, as fast as this processor has them. Not Baton's
// own kernel, so that the two can't slow down together.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace baton::bench {

struct CopyKernel {
  std::string_view name;
  /// To an aligned (64 bytes) `to`; `bytes` is a multiple of 256. Fenced when it returns.
  void (*copy)(std::byte* to, const std::byte* from, std::size_t bytes);
};

/// The kernels that this processor can run; never empty. The first is memcpy.
std::span<const CopyKernel> copy_kernels();

}  // namespace baton::bench
