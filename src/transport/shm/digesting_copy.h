// One copy whose digest is wanted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "src/base/digest.h"
#include "src/transport/shm/digest_kernel.h"

namespace baton::transport::shm {

/// Copies one range in bounded slices, and knows its digest (src/base/digest.h) at the end, having
/// read the source from memory once. The ranges don't overlap. Others see the copy for certain only
/// after publish_stores() on the same thread.
class DigestingCopy {
 public:
  /// Both ranges stay readable, and the source unchanged, until nothing is left.
  DigestingCopy(std::byte* to, const std::byte* from, std::size_t bytes,
                DigestKind kind = supported_digest_kinds().back());

  /// Copies on, and says how many bytes: at least one if any is left; above `budget_bytes` (at
  /// least 1) by less than kMaxExcessBytes.
  std::size_t advance(std::size_t budget_bytes);
  static constexpr std::size_t kMaxExcessBytes = 4096;

  std::size_t left_bytes() const { return bytes_ - copied_bytes_; }
  /// Once nothing is left.
  std::uint64_t digest() const { return digest_; }

 private:
  void advance_blocks(std::size_t to_bytes);
  void advance_library(std::size_t to_bytes);

  std::byte* const to_;
  const std::byte* const from_;
  const std::size_t bytes_;
  const DigestKind kind_;
  std::size_t copied_bytes_ = 0;
  Xxh3Lanes lanes_;                     // of every other kind: the body up to copied_bytes_
  std::optional<DigestStream> stream_;  // kLibrary, once begun
  std::uint64_t digest_ = 0;
};

}  // namespace baton::transport::shm
