// What the receiver tells a proven writer: its agent, and where its pages are
// (docs/protocol-nixl.md). No sockets and no NIXL here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "baton/status.h"
#include "src/memory/registered_buffer.h"

namespace baton::transport::nixl {

/// Of an agent's metadata in a welcome: the whole is one sealed message.
inline constexpr std::size_t kMaxWelcomeMetadataBytes = 48U << 10U;
/// The writer keeps lists of all pages, of some 100 bytes for each.
inline constexpr std::uint32_t kMaxWelcomePages = 1U << 20U;
/// A RegisteredBuffer's pages are no smaller.
inline constexpr std::uint64_t kMinWelcomePageBytes = RegisteredBuffer::kPageAlignment;
/// What a writer writes to see that the way is open.
inline constexpr std::size_t kProbeBytes = 64;

struct Welcome {
  std::uint64_t base_address = 0;  ///< of page 0, in the receiver's address space
  std::uint64_t page_bytes = 0;
  std::uint32_t page_count = 0;
  std::uint64_t probe_address = 0;  ///< of kProbeBytes that belong to this writer alone
  std::string metadata;
};

std::string encode(const Welcome& welcome);
/// kDataLoss for everything that the specification does not allow; the metadata's envelope is
/// checked, and that it covers pages and probe.
StatusOr<Welcome> parse_welcome(std::string_view bytes);

}  // namespace baton::transport::nixl
