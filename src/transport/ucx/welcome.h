// What the receiver tells a proven writer: where its pages are, and by which keys
// (docs/protocol-ucx.md). No sockets and no UCX here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/transport/secret.h"
#include "src/transport/tcp/opening.h"

namespace baton::transport::ucx {

inline constexpr std::size_t kMaxRails = 16;
/// Of one address or key. UCX's grow with the number of devices; 8 devices need about 1 KiB.
inline constexpr std::size_t kMaxBlobBytes = 8U << 10U;
inline constexpr std::size_t kMaxWelcomeBytes = 64U << 10U;

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

/// Encrypted and authenticated by what only the two ends of this connection know: with it whoever
/// reaches the device could write anywhere in the buffer.
std::string seal(const Welcome& welcome, const Secret& secret, const tcp::Hello& hello);

/// kPermissionDenied if it was not sealed for this connection, kDataLoss for everything else that
/// the specification does not allow.
StatusOr<Welcome> open_sealed(std::string_view sealed, const Secret& secret,
                              const tcp::Hello& hello);

}  // namespace baton::transport::ucx
