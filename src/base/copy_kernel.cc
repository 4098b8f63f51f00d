#include "src/base/copy_kernel.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace baton {
namespace {

#if defined(__x86_64__)

constexpr std::size_t kLineBytes = 64;

/// Two runs at a time keep more of the memory busy than one: cold copies gained 5 to 13 %. The gain
/// is small where the runs are a multiple of 4 KiB apart, for then their lines compete for places.
constexpr std::size_t kAliasBytes = 4096;
constexpr std::size_t kApartBytes = kAliasBytes / 2 + kLineBytes;

// Each copies two runs of whole lines, one after the other, to an aligned `to`: a line of each in
// turn. They differ in one instruction, but a function template can't carry a target attribute that
// depends on its argument.

inline void stream_line_sse2(std::byte* to, const std::byte* from) {
  for (std::size_t i = 0; i < kLineBytes; i += sizeof(__m128i)) {
    const __m128i piece = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), piece);
  }
}

void stream_sse2(std::byte* to, const std::byte* from, std::size_t run_bytes) {
  for (std::size_t i = 0; i < run_bytes; i += kLineBytes) {
    stream_line_sse2(to + i, from + i);
    stream_line_sse2(to + run_bytes + i, from + run_bytes + i);
  }
}

__attribute__((target("avx2"))) inline void stream_line_avx2(std::byte* to, const std::byte* from) {
  for (std::size_t i = 0; i < kLineBytes; i += sizeof(__m256i)) {
    const __m256i piece = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i));
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i), piece);
  }
}

__attribute__((target("avx2"))) void stream_avx2(std::byte* to, const std::byte* from,
                                                 std::size_t run_bytes) {
  for (std::size_t i = 0; i < run_bytes; i += kLineBytes) {
    stream_line_avx2(to + i, from + i);
    stream_line_avx2(to + run_bytes + i, from + run_bytes + i);
  }
}

__attribute__((target("avx512f"))) void stream_avx512(std::byte* to, const std::byte* from,
                                                      std::size_t run_bytes) {
  for (std::size_t i = 0; i < run_bytes; i += kLineBytes) {
    const __m512i first = _mm512_loadu_si512(from + i);
    const __m512i second = _mm512_loadu_si512(from + run_bytes + i);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), first);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + run_bytes + i), second);
  }
}

void stream_runs(StoreKind kind, std::byte* to, const std::byte* from, std::size_t run_bytes) {
  switch (kind) {
    case StoreKind::kStreamAvx512:
      return stream_avx512(to, from, run_bytes);
    case StoreKind::kStreamAvx2:
      return stream_avx2(to, from, run_bytes);
    case StoreKind::kStreamSse2:
      return stream_sse2(to, from, run_bytes);
    case StoreKind::kCached:
      break;
  }
  std::memcpy(to, from, 2 * run_bytes);
}

/// An even number of lines.
void stream_lines(StoreKind kind, std::byte* to, const std::byte* from, std::size_t bytes) {
  std::size_t run_bytes = 0;
  if (bytes / 2 >= kApartBytes) {
    run_bytes = (bytes / 2 - kApartBytes) / kAliasBytes * kAliasBytes + kApartBytes;
    stream_runs(kind, to, from, run_bytes);
  }
  const std::size_t done_bytes = 2 * run_bytes;
  stream_runs(kind, to + done_bytes, from + done_bytes, (bytes - done_bytes) / 2);
}

/// Ordinary stores up to the first whole line of `to` and after the last pair, streamed ones
/// between.
void stream_copy(StoreKind kind, std::byte* to, const std::byte* from, std::size_t bytes) {
  const std::size_t misalignment = reinterpret_cast<std::uintptr_t>(to) % kLineBytes;
  const std::size_t head_bytes = std::min((kLineBytes - misalignment) % kLineBytes, bytes);
  const std::size_t body_bytes = (bytes - head_bytes) / (2 * kLineBytes) * (2 * kLineBytes);
  const std::size_t tail_at = head_bytes + body_bytes;
  std::memcpy(to, from, head_bytes);
  stream_lines(kind, to + head_bytes, from + head_bytes, body_bytes);
  std::memcpy(to + tail_at, from + tail_at, bytes - tail_at);
}

std::vector<StoreKind> detect_store_kinds() {
  std::vector<StoreKind> kinds{StoreKind::kCached, StoreKind::kStreamSse2};
  if (__builtin_cpu_supports("avx2") != 0) {
    kinds.push_back(StoreKind::kStreamAvx2);
  }
  if (__builtin_cpu_supports("avx512f") != 0) {
    kinds.push_back(StoreKind::kStreamAvx512);
  }
  return kinds;
}

#else

void stream_copy(StoreKind /*kind*/, std::byte* to, const std::byte* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}

std::vector<StoreKind> detect_store_kinds() {
  return {StoreKind::kCached};
}

#endif

}  // namespace

std::span<const StoreKind> supported_store_kinds() {
  static const std::vector<StoreKind> kinds = detect_store_kinds();
  return kinds;
}

void copy_with(StoreKind kind, std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes == 0) {
    return;
  }
  if (kind == StoreKind::kCached) {
    std::memcpy(to, from, bytes);
  } else {
    stream_copy(kind, to, from, bytes);
  }
}

void copy_bulk(std::byte* to, const std::byte* from, std::size_t bytes) {
  const bool streams = bytes >= kStreamThresholdBytes;
  copy_with(streams ? supported_store_kinds().back() : StoreKind::kCached, to, from, bytes);
}

void publish_stores() {
#if defined(__x86_64__)
  _mm_sfence();  // Streamed stores are weakly ordered, even on x86; ordinary ones need nothing.
  std::atomic_signal_fence(std::memory_order_release);  // Nor may the compiler reorder them.
#else
  std::atomic_thread_fence(std::memory_order_release);
#endif
}

}  // namespace baton
