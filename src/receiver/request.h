// What the receiver knows of one request and its puts.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/base/epoch.h"
#include "src/base/scheduler.h"
#include "src/control/control.h"
#include "src/receiver/chunk_pool.h"
#include "src/receiver/held_chunks.h"
#include "src/wire/messages.h"

namespace baton::receiver {

/// One attempt of one request. A retry has another attempt and never meets its former self.
struct RequestId {
  Epoch sender;
  std::string req_id;
  std::uint64_t attempt = 0;

  /// What the ranks of a TP group call it.
  wire::AttemptName attempt_name() const { return {req_id, attempt}; }

  auto operator<=>(const RequestId&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const RequestId& id) {
    return H::combine(std::move(state), id.sender, id.req_id, id.attempt);
  }
};

struct Request;

/// One AllocRequest of a request. Lives until its request ends.
struct Put {
  struct Key {
    Chunk* chunk = nullptr;
    wire::KeyState state = wire::KeyState::kCommitted;
    /// Awaiting another request's chunk: one reserved unit is kept for taking over.
    bool has_spare = false;
  };

  std::uint64_t id = 0;
  Request* request = nullptr;
  std::vector<Key> keys;
  std::uint32_t unresolved = 0;  ///< keys not committed yet
};

/// waiting → (reserved →) open → sealed → complete; every state → ended (erased). docs/protocol.md,
/// "Requests at the receiver", has every transition and why.
struct Request {
  enum class State : std::uint8_t {
    kWaiting,   ///< in the admission queue: holds nothing
    kReserved,  ///< of a TP group: has its pages here, the other ranks are being asked
    kOpen,      ///< admitted: owns `reserved` units and holds
    kSealed,    ///< its last put has been allocated
    kComplete,  ///< sealed, and every key of every put is committed: may be claimed
  };

  /// Of a TP group, at its leader: what the other ranks say.
  enum class Ranks : std::uint8_t {
    kReady,    ///< all have opened it, and may have room; or there are none
    kForming,  ///< not all have opened it: nobody waits behind it
    kNoRoom,   ///< one has no room: it waits as if this rank had none
  };

  RequestId id;
  control::Route route;  ///< of its sender's alloc client
  State state = State::kWaiting;
  Ranks ranks = Ranks::kReady;
  bool grouped = false;       ///< admitted by all ranks together
  std::uint64_t arrival = 0;  ///< place in the admission queue
  wire::KeyList keys;         ///< distinct, as opened; empty if only counted
  std::uint32_t total_chunks = 0;
  std::uint32_t reserved = 0;  ///< units not turned into pages yet, spares included
  std::uint32_t spares = 0;    ///< of these, kept for taking over a chunk in flight elsewhere
  /// Chunks for which nothing is reserved, for they lie in pages that its sender has ahead.
  std::uint32_t brought = 0;
  std::uint32_t overtaken = 0;  ///< how many later ones were admitted before it
  TimePoint renewed{};          ///< when its sender last spoke of it
  HeldChunks held;
  std::map<std::uint64_t, std::unique_ptr<Put>> puts;
  TimerId timer = kNoTimer;  ///< of admission while it waits, of its claim once it is complete

  std::uint32_t chunk_count() const {
    return keys.empty() ? total_chunks : static_cast<std::uint32_t>(keys.size());
  }
};

}  // namespace baton::receiver
