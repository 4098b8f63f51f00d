#include "src/transport/shm/digest_kernel.h"

#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's AVX-512 intrinsics begin with what they call undefined, and GCC then warns of it.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace baton::transport::shm {
namespace {

#if defined(__x86_64__)

/// How far a kernel asks ahead of what it loads. Without it, hashing takes the time that the loads
/// need: copies of cold bytes were 15 % slower. 1 to 2 KiB ahead were about equal. (A plain copy
/// waits for memory alone, and is slower with it.)
constexpr std::size_t kPrefetchBytes = 1536;

/// Of no consequence where nothing is mapped: `from` may be near the end of its range.
inline void prefetch_ahead(const std::byte* from) {
  __builtin_prefetch(from + kPrefetchBytes);
}

constexpr int kPrime32 = static_cast<int>(0x9E3779B1U);
constexpr int kSwapLanes = 0x4E;  // _MM_SHUFFLE(1, 0, 3, 2): within each pair of lanes

// Each step is that of xxh3_lanes.cc, on several lanes at a time.

#define BATON_AVX2 __attribute__((target("avx2")))

BATON_AVX2 inline __m256i load_avx2(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

BATON_AVX2 inline __m256i add_avx2(__m256i lanes, __m256i data, const std::uint8_t* secret) {
  const __m256i keyed = _mm256_xor_si256(data, load_avx2(secret));
  const __m256i product = _mm256_mul_epu32(keyed, _mm256_srli_epi64(keyed, 32));
  return _mm256_add_epi64(_mm256_add_epi64(lanes, _mm256_shuffle_epi32(data, kSwapLanes)), product);
}

BATON_AVX2 inline __m256i scramble_avx2(__m256i lanes, const std::uint8_t* secret) {
  const __m256i prime = _mm256_set1_epi32(kPrime32);
  const __m256i mixed =
      _mm256_xor_si256(_mm256_xor_si256(lanes, _mm256_srli_epi64(lanes, 47)), load_avx2(secret));
  const __m256i high = _mm256_mul_epu32(_mm256_srli_epi64(mixed, 32), prime);
  return _mm256_add_epi64(_mm256_mul_epu32(mixed, prime), _mm256_slli_epi64(high, 32));
}

BATON_AVX2 void copy_blocks_avx2(Xxh3Lanes& state, std::byte* to, const std::byte* from,
                                 std::size_t bytes) {
  constexpr std::size_t kHalf = sizeof(__m256i);
  const std::uint8_t* const secret = kXxh3Secret.data();
  __m256i low = load_avx2(state.lanes.data());
  __m256i high = load_avx2(state.lanes.data() + 4);
  for (std::size_t block = 0; block < bytes; block += kXxh3BlockBytes) {
    for (std::size_t at = 0; at < kXxh3BlockBytes; at += kXxh3StripeBytes) {
      const std::byte* const source = from + block + at;
      std::byte* const target = to + block + at;
      prefetch_ahead(source);
      const __m256i first = load_avx2(source);
      const __m256i second = load_avx2(source + kHalf);
      _mm256_stream_si256(reinterpret_cast<__m256i*>(target), first);
      _mm256_stream_si256(reinterpret_cast<__m256i*>(target + kHalf), second);
      low = add_avx2(low, first, secret + at / 8);
      high = add_avx2(high, second, secret + at / 8 + kHalf);
    }
    low = scramble_avx2(low, secret + kXxh3ScrambleSecretAt);
    high = scramble_avx2(high, secret + kXxh3ScrambleSecretAt + kHalf);
  }
  _mm256_store_si256(reinterpret_cast<__m256i*>(state.lanes.data()), low);
  _mm256_store_si256(reinterpret_cast<__m256i*>(state.lanes.data() + 4), high);
}

#define BATON_AVX512 __attribute__((target("avx512f")))

BATON_AVX512 inline __m512i add_avx512(__m512i lanes, __m512i data, const std::uint8_t* secret) {
  const __m512i keyed = _mm512_xor_si512(data, _mm512_loadu_si512(secret));
  const __m512i product = _mm512_mul_epu32(keyed, _mm512_srli_epi64(keyed, 32));
  const __m512i swapped = _mm512_shuffle_epi32(data, static_cast<_MM_PERM_ENUM>(kSwapLanes));
  return _mm512_add_epi64(_mm512_add_epi64(lanes, swapped), product);
}

BATON_AVX512 inline __m512i scramble_avx512(__m512i lanes, const std::uint8_t* secret) {
  const __m512i prime = _mm512_set1_epi32(kPrime32);
  const __m512i mixed = _mm512_xor_si512(_mm512_xor_si512(lanes, _mm512_srli_epi64(lanes, 47)),
                                         _mm512_loadu_si512(secret));
  const __m512i high = _mm512_mul_epu32(_mm512_srli_epi64(mixed, 32), prime);
  return _mm512_add_epi64(_mm512_mul_epu32(mixed, prime), _mm512_slli_epi64(high, 32));
}

BATON_AVX512 void copy_blocks_avx512(Xxh3Lanes& state, std::byte* to, const std::byte* from,
                                     std::size_t bytes) {
  const std::uint8_t* const secret = kXxh3Secret.data();
  __m512i lanes = _mm512_loadu_si512(state.lanes.data());
  for (std::size_t block = 0; block < bytes; block += kXxh3BlockBytes) {
    for (std::size_t at = 0; at < kXxh3BlockBytes; at += kXxh3StripeBytes) {
      const std::byte* const source = from + block + at;
      prefetch_ahead(source);
      const __m512i data = _mm512_loadu_si512(source);
      _mm512_stream_si512(reinterpret_cast<__m512i*>(to + block + at), data);
      lanes = add_avx512(lanes, data, secret + at / 8);
    }
    lanes = scramble_avx512(lanes, secret + kXxh3ScrambleSecretAt);
  }
  _mm512_storeu_si512(state.lanes.data(), lanes);
}

std::vector<DigestKind> detect_digest_kinds() {
  std::vector<DigestKind> kinds{DigestKind::kLibrary};
  if (__builtin_cpu_supports("avx2") != 0) {
    kinds.push_back(DigestKind::kAvx2);
  }
  if (__builtin_cpu_supports("avx512f") != 0) {
    kinds.push_back(DigestKind::kAvx512);
  }
  return kinds;
}

#else

std::vector<DigestKind> detect_digest_kinds() {
  return {DigestKind::kLibrary};
}

#endif

}  // namespace

std::span<const DigestKind> supported_digest_kinds() {
  static const std::vector<DigestKind> kinds = detect_digest_kinds();
  return kinds;
}

void copy_blocks([[maybe_unused]] DigestKind kind, [[maybe_unused]] Xxh3Lanes& state,
                 [[maybe_unused]] std::byte* to, [[maybe_unused]] const std::byte* from,
                 [[maybe_unused]] std::size_t bytes) {
#if defined(__x86_64__)
  if (kind == DigestKind::kAvx512) {
    copy_blocks_avx512(state, to, from, bytes);
  } else if (kind == DigestKind::kAvx2) {
    copy_blocks_avx2(state, to, from, bytes);
  }
#endif
}

}  // namespace baton::transport::shm
