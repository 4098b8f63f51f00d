// What the receiver tells a proven writer: where its pages are, and by which keys
// (docs/protocol-ucx.md). No sockets and no UCX here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"

namespace baton::transport::ucx {

inline constexpr std::size_t kMaxRails = 16;
/// Of one address or key. UCX's grow with the number of devices; 8 devices need about 1 KiB.
inline constexpr std::size_t kMaxBlobBytes = 8U << 10U;

struct Welcome {
  struct Rail {
    std::string worker_address;
    std::string rkey;
  };

  std::uint64_t base_address = 0;  ///< of page 0, in the receiver's address space
  std::uint64_t page_bytes = 0;
  std::uint32_t page_count = 0;
  std::vector<Rail> rails;  ///< 1 to kMaxRails
};

std::string encode(const Welcome& welcome);
/// kDataLoss for everything that the specification does not allow.
StatusOr<Welcome> parse_welcome(std::string_view bytes);

}  // namespace baton::transport::ucx
