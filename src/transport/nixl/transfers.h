// The batches of one peer, and the requests that NIXL has of them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "src/base/lifetime.h"
#include "src/transport/nixl/agent.h"
#include "src/transport/nixl/batch.h"
#include "src/transport/nixl/nixl_options.h"
#include "src/transport/nixl/pacer.h"
#include "src/transport/tcp/pulse.h"
#include "src/transport/transport.h"

namespace baton::transport::nixl {

/// One request for each part of a batch; a few are posted at once, and they end in the order of
/// their submission. On the loop only. The agent outlives it; once this is destroyed, nothing asks
/// about the batches any more, but only the agent's end ends them.
class Transfers {
 public:
  /// The peer can't be reached any more. Called from a turn of its own, last.
  using Failed = absl::AnyInvocable<void(const Status& why)>;

  Transfers(Reactor& reactor, const NixlOptions& options, const Agent& agent, Failed failed);
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  void add(Batch batch);
  /// Gives up, after at most 50 ms for what is posted to end; what is pending is returned in order,
  /// for its `done` to be called once the agent is destroyed.
  std::vector<Batch> abandon();

 private:
  struct Posted {
    Batch batch;
    std::unique_ptr<Request> request;  // none: nothing to be moved
    bool complete = false;
  };

  Status post_some();
  StatusOr<bool> advance();
  Pacer::Answer ask();
  void watch_for_stalls();
  void let_posted_end();
  void fail_later(const Status& why);

  Reactor& reactor_;
  const NixlOptions& options_;
  const Agent& agent_;
  Failed failed_;
  bool broken_ = false;
  std::deque<Posted> posted_;
  std::uint64_t posted_bytes_ = 0;
  std::deque<Batch> waiting_;
  TcpOptions stall_options_;
  std::optional<tcp::Pulse> stall_;  // while something is under way
  Pacer pacer_;
  Lifetime lifetime_;
};

}  // namespace baton::transport::nixl
