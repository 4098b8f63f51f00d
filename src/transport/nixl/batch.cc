#include "src/transport/nixl/batch.h"

#include <algorithm>
#include <utility>

namespace baton::transport::nixl {

std::uint64_t bytes_of(const Batch& batch) {
  std::uint64_t bytes = 0;
  for (const Range& range : batch.ranges) {
    bytes += range.length_bytes;
  }
  return bytes;
}

std::vector<Range> merge_adjacent(const std::vector<Range>& ranges) {
  std::vector<Range> merged;
  for (const Range& range : ranges) {
    Range* const last = merged.empty() ? nullptr : &merged.back();
    if (last != nullptr && last->local + last->length_bytes == range.local &&
        last->remote + last->length_bytes == range.remote &&
        last->remote_device == range.remote_device) {
      last->length_bytes += range.length_bytes;
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

std::vector<Batch> split(Batch batch, std::uint64_t max_bytes) {
  std::vector<Batch> parts;
  if (bytes_of(batch) <= max_bytes) {
    parts.push_back(std::move(batch));
    return parts;
  }
  const bool cut = std::any_of(batch.ranges.begin(), batch.ranges.end(),
                               [&](const Range& range) { return range.length_bytes > max_bytes; });
  const bool whole_pages = !cut && !batch.local_pages.empty();
  std::uint64_t room = 0;
  for (std::size_t i = 0; i < batch.ranges.size(); ++i) {
    Range left = batch.ranges[i];
    while (left.length_bytes > 0) {
      // A range that fits into a part of its own is not torn between two.
      if (room == 0 || (left.length_bytes <= max_bytes && left.length_bytes > room)) {
        parts.push_back({.direction = batch.direction,
                         .ranges = {},
                         .local_pages = {},
                         .remote_pages = {},
                         .verdict = batch.verdict,
                         .done = nullptr});
        room = max_bytes;
      }
      Range piece = left;
      piece.length_bytes = std::min(left.length_bytes, room);
      parts.back().ranges.push_back(piece);
      room -= piece.length_bytes;
      left.local += piece.length_bytes;
      left.remote += piece.length_bytes;
      left.length_bytes -= piece.length_bytes;
    }
    if (whole_pages) {
      parts.back().local_pages.push_back(batch.local_pages[i]);
      parts.back().remote_pages.push_back(batch.remote_pages[i]);
    }
  }
  parts.back().done = std::move(batch.done);
  return parts;
}

}  // namespace baton::transport::nixl
