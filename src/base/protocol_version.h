// The versions of Baton's own protocol.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace baton {

/// A range of versions that a process speaks; docs/protocol.md says what each added. The lower end
/// is also the floor: a fleet that is past a version refuses it.
struct VersionRange {
  std::uint32_t min = 1;
  std::uint32_t max = 5;

  bool contains(std::uint32_t version) const { return min <= version && version <= max; }
  /// The highest version that both speak.
  std::optional<std::uint32_t> highest_common(const VersionRange& other) const {
    const std::uint32_t highest = std::min(max, other.max);
    return highest >= std::max(min, other.min) ? std::optional(highest) : std::nullopt;
  }
};

/// All that this code speaks.
inline constexpr VersionRange kProtocolVersions{1, 5};

/// Since version 2: heartbeats and leases, EndNotif, and that AllocRequest, OpenRequest and
/// CommitRequest may come again.
constexpr bool has_leases(std::uint32_t version) {
  return version >= 2;
}

/// Since version 3.
constexpr bool has_reads(std::uint32_t version) {
  return version >= 3;
}

/// Since version 4: an AllocRequest may bring the chunks' bytes along.
constexpr bool has_eager_puts(std::uint32_t version) {
  return version >= 4;
}

/// Since version 4: where the data connection carries messages, it carries the alloc port's.
constexpr bool has_lanes(std::uint32_t version) {
  return version >= 4;
}

/// Since version 5: pages are granted ahead.
constexpr bool has_pages_ahead(std::uint32_t version) {
  return version >= 5;
}

}  // namespace baton
