#include "tools/bench/nt_copy.h"

#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace baton::bench {
namespace {

void plain_memcpy(std::byte* to, const std::byte* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}

#if defined(__x86_64__)

constexpr std::size_t kStrideBytes = 256;
constexpr std::size_t kAheadBytes = 1024;  // four strides: about a memory access's time ahead

// A template can't carry a target attribute that depends on its argument, nor may a lambda.

template <bool kPrefetch>
__attribute__((target("avx2"))) void stream_avx2(std::byte* to, const std::byte* from,
                                                 std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += kStrideBytes) {
    if constexpr (kPrefetch) {
      for (std::size_t line = 0; line < kStrideBytes; line += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(from + i + kAheadBytes + line), _MM_HINT_NTA);
      }
    }
    const auto* const source = reinterpret_cast<const __m256i*>(from + i);
    auto* const target = reinterpret_cast<__m256i*>(to + i);
    const __m256i a = _mm256_loadu_si256(source);
    const __m256i b = _mm256_loadu_si256(source + 1);
    const __m256i c = _mm256_loadu_si256(source + 2);
    const __m256i d = _mm256_loadu_si256(source + 3);
    const __m256i e = _mm256_loadu_si256(source + 4);
    const __m256i f = _mm256_loadu_si256(source + 5);
    const __m256i g = _mm256_loadu_si256(source + 6);
    const __m256i h = _mm256_loadu_si256(source + 7);
    _mm256_stream_si256(target, a);
    _mm256_stream_si256(target + 1, b);
    _mm256_stream_si256(target + 2, c);
    _mm256_stream_si256(target + 3, d);
    _mm256_stream_si256(target + 4, e);
    _mm256_stream_si256(target + 5, f);
    _mm256_stream_si256(target + 6, g);
    _mm256_stream_si256(target + 7, h);
  }
  _mm_sfence();
}

template <bool kPrefetch>
__attribute__((target("avx512f"))) void stream_avx512(std::byte* to, const std::byte* from,
                                                      std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += kStrideBytes) {
    if constexpr (kPrefetch) {
      for (std::size_t line = 0; line < kStrideBytes; line += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(from + i + kAheadBytes + line), _MM_HINT_NTA);
      }
    }
    const __m512i a = _mm512_loadu_si512(from + i);
    const __m512i b = _mm512_loadu_si512(from + i + 64);
    const __m512i c = _mm512_loadu_si512(from + i + 128);
    const __m512i d = _mm512_loadu_si512(from + i + 192);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), a);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i + 64), b);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i + 128), c);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i + 192), d);
  }
  _mm_sfence();
}

#endif

std::vector<CopyKernel> detect() {
  std::vector<CopyKernel> kernels = {{"memcpy", plain_memcpy}};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") != 0) {
    kernels.push_back({"nt-avx2", stream_avx2<false>});
    kernels.push_back({"nt-avx2-prefetch", stream_avx2<true>});
  }
  if (__builtin_cpu_supports("avx512f") != 0) {
    kernels.push_back({"nt-avx512", stream_avx512<false>});
    kernels.push_back({"nt-avx512-prefetch", stream_avx512<true>});
  }
#endif
  return kernels;
}

}  // namespace

std::span<const CopyKernel> copy_kernels() {
  static const std::vector<CopyKernel> kernels = detect();
  return kernels;
}

}  // namespace baton::bench
