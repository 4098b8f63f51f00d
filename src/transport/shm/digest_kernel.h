// Copies and hashes in one pass: the bytes are loaded once, for both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "src/transport/shm/xxh3_lanes.h"

namespace baton::transport::shm {

/// How bytes are hashed on their way past the cache.
enum class DigestKind : std::uint8_t {
  kLibrary,  ///< by the library, a few KiB at a time, which the copy then finds in the cache
  kAvx2,     ///< from the registers that are stored
  kAvx512,   ///< likewise
};

/// The kinds that this processor has, slowest first. Never empty.
std::span<const DigestKind> supported_digest_kinds();

/// `to` of every kind but kLibrary.
inline constexpr std::size_t kDigestAlignmentBytes = 64;

/// Copies whole blocks, with stores past the cache, to an aligned `to`, and takes them into
/// `state`. Others see them for certain only after publish_stores(). Not for kLibrary.
void copy_blocks(DigestKind kind, Xxh3Lanes& state, std::byte* to, const std::byte* from,
                 std::size_t bytes);

}  // namespace baton::transport::shm
