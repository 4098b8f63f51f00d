// The inside of XXH3 (64 bits, default secret, seed 0), as its specification has it, for inputs of
// more than 240 bytes: so that bytes can be hashed out of the registers that a copy holds anyway.
// The library has no way to do that; for everything else use src/base/digest.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace baton::transport::shm {

/// What each step takes in: 8 lanes of 8 bytes.
inline constexpr std::size_t kXxh3StripeBytes = 64;
/// After so many bytes the lanes are scrambled.
inline constexpr std::size_t kXxh3BlockBytes = 1024;
/// Up to here XXH3 is another function, which is not here.
inline constexpr std::size_t kXxh3MaxShortBytes = 240;

/// Where in the secret the scrambling's part stands; a block's stripe `i` uses it from byte 8 * i.
inline constexpr std::size_t kXxh3ScrambleSecretAt = 128;
alignas(64) extern const std::array<std::uint8_t, 192> kXxh3Secret;

/// The state between blocks. digest_kernel.h takes blocks in.
struct alignas(64) Xxh3Lanes {
  std::array<std::uint64_t, 8> lanes = {0x00000000C2B2AE3D, 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F,
                                        0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x0000000085EBCA77,
                                        0x27D4EB2F165667C5, 0x000000009E3779B1};
};

/// How many leading bytes of an input go through the lanes as whole blocks: all but the last 1 to
/// 1024, which the end of the input changes.
constexpr std::size_t xxh3_body_bytes(std::size_t input_bytes) {
  return (input_bytes - 1) / kXxh3BlockBytes * kXxh3BlockBytes;
}

/// The digest of `input`, more than 240 bytes, whose body `body` has taken in. Reads at most its
/// last 1024 bytes.
std::uint64_t xxh3_finish(const Xxh3Lanes& body, std::span<const std::byte> input);

}  // namespace baton::transport::shm
