// What one batch moves, and how it is cut. No NIXL here.
#pragma once

#include <cstdint>
#include <vector>

#include "src/transport/transport.h"

namespace baton::transport::nixl {

/// Seen from who has the agent.
enum class Direction : std::uint8_t { kWrite, kRead };

/// A range here and one of the same length at the peer.
struct Range {
  std::uint64_t local = 0;
  std::uint64_t remote = 0;
  std::uint64_t length_bytes = 0;
  std::uint64_t remote_device = 0;
  bool operator==(const Range&) const = default;
};

struct Batch {
  Direction direction = Direction::kWrite;
  std::vector<Range> ranges;  ///< none: done when those before it are
  /// If all ranges are whole pages of the agent's prepared lists, which; else empty.
  std::vector<int> local_pages;
  std::vector<int> remote_pages;
  Status verdict;  ///< of a batch that is refused: nothing of it is moved
  Done done;       ///< null in all parts of a batch but the last
};

/// Of the whole batch.
std::uint64_t bytes_of(const Batch& batch);

/// Ranges that go on where the one before them ends, here and there, are one with it: a transfer of
/// few long ranges took half the time of one of many short ones. NIXL does it for prepared pages.
std::vector<Range> merge_adjacent(const std::vector<Range>& ranges);

/// The same in parts of at most `max_bytes` each, in order. NIXL moves what it was given until
/// nothing is left to do, and nothing else has a turn meanwhile. A longer range is cut, and then
/// its batch is no longer one of whole pages.
std::vector<Batch> split(Batch batch, std::uint64_t max_bytes);

}  // namespace baton::transport::nixl
