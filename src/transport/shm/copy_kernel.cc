#include "src/transport/shm/copy_kernel.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace baton::transport::shm {
namespace {

#if defined(__x86_64__)

constexpr std::size_t kLineBytes = 64;

// Each copies whole lines to an aligned `to`. They differ in one instruction, but a function
// template can't carry a target attribute that depends on its argument.

void stream_sse2(std::byte* to, const std::byte* from, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += sizeof(__m128i)) {
    const __m128i piece = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), piece);
  }
}

__attribute__((target("avx2"))) void stream_avx2(std::byte* to, const std::byte* from,
                                                 std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += sizeof(__m256i)) {
    const __m256i piece = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i));
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i), piece);
  }
}

__attribute__((target("avx512f"))) void stream_avx512(std::byte* to, const std::byte* from,
                                                      std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += sizeof(__m512i)) {
    const __m512i piece = _mm512_loadu_si512(from + i);
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), piece);
  }
}

void stream_lines(StoreKind kind, std::byte* to, const std::byte* from, std::size_t bytes) {
  switch (kind) {
    case StoreKind::kStreamAvx512:
      return stream_avx512(to, from, bytes);
    case StoreKind::kStreamAvx2:
      return stream_avx2(to, from, bytes);
    case StoreKind::kStreamSse2:
      return stream_sse2(to, from, bytes);
    case StoreKind::kCached:
      break;
  }
  std::memcpy(to, from, bytes);
}

/// Ordinary stores up to the first whole line of `to` and after the last, streamed ones between.
void stream_copy(StoreKind kind, std::byte* to, const std::byte* from, std::size_t bytes) {
  const std::size_t misalignment = reinterpret_cast<std::uintptr_t>(to) % kLineBytes;
  const std::size_t head_bytes = std::min((kLineBytes - misalignment) % kLineBytes, bytes);
  const std::size_t body_bytes = (bytes - head_bytes) / kLineBytes * kLineBytes;
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

}  // namespace baton::transport::shm
