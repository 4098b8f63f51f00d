// The pickle in which LMCache carries a list of pages: NIXL's nixlXferDList.
//
// LMCache sends `pickle.dumps(list)`. No unpickler is here: of everything that a pickle can say,
// exactly one form is read and written, byte for byte what CPython 3.8 and later make of such an
// object (docs/interop.md, "The list of pages"). Decoding compares; it interprets nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"

namespace baton::wire {

/// NIXL's basic descriptor: one page as its agent names it.
struct XferDescriptor {
  std::uint64_t address = 0;
  std::uint64_t length_bytes = 0;
  std::uint64_t device = 0;
  bool operator==(const XferDescriptor&) const = default;
};

struct XferDlist {
  /// NIXL's kinds of memory; it has others, which hold no KV pages.
  enum class Memory : std::uint8_t { kDram = 0, kVram = 1 };
  Memory memory = Memory::kDram;
  std::vector<XferDescriptor> descriptors;
  bool operator==(const XferDlist&) const = default;
};

/// No list of so many is longer: 24 bytes for each, and what stands around them (tested).
constexpr std::size_t max_xfer_dlist_bytes(std::size_t descriptors) {
  constexpr std::size_t kDescriptorBytes = 24;
  constexpr std::size_t kAround = 256;
  constexpr std::size_t kMost = (SIZE_MAX - kAround) / kDescriptorBytes;
  return (descriptors < kMost ? descriptors : kMost) * kDescriptorBytes + kAround;
}

/// As CPython 3.8 to 3.13 pickle it by default (protocol 4).
std::string encode_xfer_dlist(const XferDlist& list);

/// kInvalidArgument for whatever differs from that form in a byte, for a list without descriptors,
/// and for one with more than `max_descriptors`, of which nothing is allocated. Protocol 5 (the
/// default since CPython 3.14) and the module names of NIXL's wheels (nixl_cu12, nixl_cu13) are
/// taken too.
StatusOr<XferDlist> decode_xfer_dlist(std::string_view bytes, std::size_t max_descriptors);

/// Of a peer's pages: all are `page_bytes` long, none reaches beyond 2^64, and no two of one device
/// overlap. kInvalidArgument naming the first that breaks it.
Status check_pages(const XferDlist& list, std::uint64_t page_bytes);

}  // namespace baton::wire
