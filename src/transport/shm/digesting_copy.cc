#include "src/transport/shm/digesting_copy.h"

#include <algorithm>
#include <span>

#include "src/base/copy_kernel.h"

namespace baton::transport::shm {
namespace {

/// What the library hashes before it is copied. With stores past the cache from here on up, the
/// smallest was the fastest: beyond some 16 KiB less and less of it is found in the cache.
constexpr std::size_t kLibraryBlockBytes = kStreamThresholdBytes;
static_assert(DigestingCopy::kMaxExcessBytes >= kLibraryBlockBytes);
static_assert(DigestingCopy::kMaxExcessBytes >= kXxh3BlockBytes);
static_assert(kStreamThresholdBytes > kXxh3MaxShortBytes, "kernels get long inputs alone");

/// Kernels store past the cache, so only where that pays, and only to whole lines.
DigestKind usable_kind(DigestKind wanted, const std::byte* to, std::size_t bytes) {
  const bool aligned = reinterpret_cast<std::uintptr_t>(to) % kDigestAlignmentBytes == 0;
  return aligned && bytes >= kStreamThresholdBytes ? wanted : DigestKind::kLibrary;
}

}  // namespace

DigestingCopy::DigestingCopy(std::byte* to, const std::byte* from, std::size_t bytes,
                             DigestKind kind)
    : to_(to), from_(from), bytes_(bytes), kind_(usable_kind(kind, to, bytes)) {
  if (bytes_ == 0) {
    digest_ = digest_of({});
  }
}

std::size_t DigestingCopy::advance(std::size_t budget_bytes) {
  const std::size_t before = copied_bytes_;
  const std::size_t unit = kind_ == DigestKind::kLibrary ? kLibraryBlockBytes : kXxh3BlockBytes;
  // Up to whole units of the range, so that every slice but the last is one.
  const std::size_t slice = (budget_bytes + unit - 1) / unit * unit;
  const std::size_t end = before + std::min(slice, left_bytes());
  if (kind_ == DigestKind::kLibrary) {
    advance_library(end);
  } else {
    advance_blocks(end);
  }
  return copied_bytes_ - before;
}

void DigestingCopy::advance_blocks(std::size_t to_bytes) {
  const std::size_t body_end = std::min(to_bytes, xxh3_body_bytes(bytes_));
  copy_blocks(kind_, lanes_, to_ + copied_bytes_, from_ + copied_bytes_, body_end - copied_bytes_);
  copied_bytes_ = body_end;
  if (to_bytes == bytes_) {
    digest_ = xxh3_finish(lanes_, {from_, bytes_});
    copy_bulk(to_ + body_end, from_ + body_end, bytes_ - body_end);
    copied_bytes_ = bytes_;
  }
}

void DigestingCopy::advance_library(std::size_t to_bytes) {
  if (copied_bytes_ == 0 && to_bytes == bytes_ && bytes_ <= kLibraryBlockBytes) {
    digest_ = digest_of({from_, bytes_});  // In one go it needs no state.
    copy_bulk(to_, from_, bytes_);
    copied_bytes_ = bytes_;
    return;
  }
  if (!stream_.has_value()) {
    stream_.emplace();
  }
  while (copied_bytes_ < to_bytes) {
    const std::size_t bytes = std::min(to_bytes - copied_bytes_, kLibraryBlockBytes);
    stream_->update({from_ + copied_bytes_, bytes});
    copy_bulk(to_ + copied_bytes_, from_ + copied_bytes_, bytes);
    copied_bytes_ += bytes;
  }
  if (left_bytes() == 0) {
    digest_ = stream_->value();
  }
}

}  // namespace baton::transport::shm
