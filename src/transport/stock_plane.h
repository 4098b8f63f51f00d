// The data plane towards peers that know LMCache's handshake alone: NIXL agents.
//
// Such a peer brings its agent's metadata and a list of its pages, and writes into ours (or lets us
// write into its) without a word to Baton's transports. Here each peer gets an agent of its own, so
// that the right to write can be taken from it alone, and its end be proven.
//
// Threads: as in transport.h: on the loop, callbacks in turns of their own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/transport/transport.h"

namespace baton::transport {

/// Names one stock peer in one StockPlane; never used again.
using StockPeerId = std::uint64_t;

/// One page as an agent names it: NIXL's basic descriptor.
struct PageAddress {
  std::uint64_t address = 0;
  std::uint64_t length_bytes = 0;
  std::uint64_t device = 0;
  bool operator==(const PageAddress&) const = default;
};

/// Where a peer's pages lie.
enum class PageMemory : std::uint8_t { kDram, kVram };

class StockPlane {
 public:
  virtual ~StockPlane() = default;

  /// What one peer is told of this side.
  struct Door {
    StockPeerId id = 0;
    std::string agent_name;
    std::string metadata;            ///< of an agent made for this peer
    std::vector<PageAddress> pages;  ///< the attached buffer's, by page number
  };
  /// The name of the agent whose metadata (hostile input) these could be; makes nothing. To be
  /// asked before open_door(), which costs an agent.
  virtual StatusOr<std::string> check(std::string_view metadata) const = 0;

  /// Makes the agent. kUnavailable if NIXL can't.
  virtual StatusOr<Door> open_door() = 0;

  /// The peer's own metadata (hostile input), once per door; returns its agent's name.
  virtual StatusOr<std::string> introduce(StockPeerId peer, std::string_view metadata) = 0;
  /// The peer's pages, by its page numbers; the caller has checked that they are equal in length
  /// and don't overlap. Needed before write_batch and read_batch. kInvalidArgument if one lies
  /// outside of what the peer's metadata registers.
  virtual Status set_pages(StockPeerId peer, PageMemory memory,
                           const std::vector<PageAddress>& pages) = 0;

  /// As Transport's; generations are ignored, for such a peer has none.
  virtual void write_batch(StockPeerId peer, std::vector<WriteOp> ops, Done done) = 0;
  virtual void read_batch(StockPeerId peer, std::vector<ReadOp> ops, Done done) = 0;

  /// The fence: destroys the peer's agent; pending batches fail with kCancelled. `fenced` fires
  /// once no byte of that peer can reach a page any more. At once for an unknown peer.
  virtual void revoke(StockPeerId peer, Task fenced) = 0;

  /// Starts the end: as revoke() for every peer, and open_door() fails. Destroyed afterwards on the
  /// loop; the buffer outlives it.
  virtual void close() = 0;
};

}  // namespace baton::transport
