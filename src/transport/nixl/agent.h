// NIXL's agent with one UCX backend, and its transfer requests; all of NIXL is behind this header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "baton/status.h"
#include "src/transport/nixl/batch.h"
#include "src/transport/stock_plane.h"

namespace baton::transport::nixl {

struct AgentOptions {
  /// A thread of NIXL's that sleeps until something comes for this agent. Over TCP an agent that
  /// is written into needs one: the bytes are placed by its own process.
  bool progress_thread = false;
  /// Over RDMA if true, else over TCP.
  bool rdma = true;
};

class Agent;

/// One transfer, from its making to its release. The agent outlives it.
class Request {
 public:
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  /// True when complete: written bytes are in the peer's memory, read ones here. An error is final.
  StatusOr<bool> post();
  StatusOr<bool> poll();

 private:
  friend class Agent;
  struct Handle;
  explicit Request(std::unique_ptr<Handle> handle);

  std::unique_ptr<Handle> handle_;
};

/// For one peer alone: destroying it destroys its UCX worker, with all queue pairs and sockets.
/// After that nothing that the peer has under way reaches memory here, and nothing reads or writes
/// local memory for it. Release its requests first. Used by one thread at a time; destroyed by any.
class Agent {
 public:
  /// kUnavailable if NIXL can't.
  static StatusOr<std::unique_ptr<Agent>> create(std::string name, const AgentOptions& options);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  const std::string& name() const;

  /// For what is written and read, here and by the peer; outlives the agent. The probe is, too.
  /// Once.
  Status register_memory(std::span<std::byte> range);
  /// A page of the agent's own, for a peer to see whether it can write here.
  std::span<std::byte> probe() const;
  /// What a peer's agent must know of this one, keys included. After register_memory().
  StatusOr<std::string> metadata() const;
  /// Makes the peer known; once. The bytes have passed check_metadata(); what UCX wrote into them
  /// is UCX's to read, and it trusts them.
  Status introduce(const std::string& metadata, const std::string& peer_name);

  /// Lists by page number, of pages that are registered here and at the peer. Once.
  Status prepare_pages(const std::vector<PageAddress>& local,
                       const std::vector<PageAddress>& remote);
  /// Whole pages of the prepared lists, local[i] to or from remote[i].
  StatusOr<std::unique_ptr<Request>> page_request(Direction direction,
                                                  const std::vector<int>& local,
                                                  const std::vector<int>& remote) const;
  /// Any ranges inside of what is registered on both sides; at least one.
  StatusOr<std::unique_ptr<Request>> request(Direction direction,
                                             std::span<const Range> ranges) const;

  /// Notifications of the peer's, which nobody here listens to: NIXL would keep them for as long as
  /// the agent lives. kResourceExhausted if more came since the last time than an honest peer
  /// sends.
  Status drop_notifications() const;

 private:
  struct Nixl;
  explicit Agent(std::unique_ptr<Nixl> nixl);

  std::unique_ptr<Nixl> nixl_;
};

}  // namespace baton::transport::nixl
