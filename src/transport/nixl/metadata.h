// The envelope of a NIXL agent's metadata, as NIXL 1.x serialises it. No NIXL here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"

namespace baton::transport::nixl {

inline constexpr std::size_t kMaxMetadataBytes = 1U << 20U;
inline constexpr std::size_t kMaxAgentNameBytes = 256;
inline constexpr std::size_t kMaxRegions = 4096;

/// What an agent says of itself.
struct Metadata {
  /// Registered memory of the host, with its UCX key (which is not checked here).
  struct Region {
    std::uint64_t address = 0;
    std::uint64_t length_bytes = 0;
    std::uint64_t device = 0;
  };
  std::string agent_name;
  std::vector<Region> regions;
};

/// Accepts exactly what an agent with the UCX backend and host memory exports, within the limits
/// above; kDataLoss for all else. NIXL's own decoder neither bounds nor checks what it reads.
StatusOr<Metadata> check_metadata(std::string_view bytes);

/// Whether [address, address + length) lies inside of one region of that device.
bool covers(const Metadata& metadata, std::uint64_t address, std::uint64_t length_bytes,
            std::uint64_t device);

}  // namespace baton::transport::nixl
