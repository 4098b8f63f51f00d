// The end of agents that peers write into: the fence.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <thread>

#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/transport/nixl/agent.h"

namespace baton::transport::nixl {

/// Destroys agents on threads of their own: NIXL's progress thread ends only when nothing is left
/// to do, so a peer that floods it holds up its own fence, but not the loop. On the loop only.
class Undertaker {
 public:
  explicit Undertaker(Reactor& reactor) : reactor_(reactor) {}
  /// Waits for all of them; `gone` is not called any more.
  ~Undertaker();
  Undertaker(const Undertaker&) = delete;
  Undertaker& operator=(const Undertaker&) = delete;

  /// `gone` is called in a turn of its own once the agent is destroyed.
  void bury(std::unique_ptr<Agent> agent, Task gone);

 private:
  Reactor& reactor_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, std::thread> burials_;
  Lifetime lifetime_;
};

}  // namespace baton::transport::nixl
