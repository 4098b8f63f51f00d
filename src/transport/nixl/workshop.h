// Where agents are made and destroyed: not on the loop.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <map>
#include <memory>
#include <thread>

#include "baton/status.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/transport/nixl/agent.h"

namespace baton::transport::nixl {

/// A thread for each. Making an agent registers the whole buffer with UCX and its devices, which
/// takes a while. Destroying one ends NIXL's progress thread, which ends only when nothing is left
/// to do: so a peer that floods it holds up its own fence, but not the loop. On the loop only.
class Workshop {
 public:
  using MadeAgent = StatusOr<std::unique_ptr<Agent>>;

  explicit Workshop(Reactor& reactor) : reactor_(reactor) {}
  /// Waits for all threads; what was made and not taken is destroyed. No callback comes any more.
  ~Workshop();
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  using Made = absl::AnyInvocable<void(MadeAgent&& agent)>;

  /// `make` runs on another thread; then `made` in a turn of its own. An agent that it does not
  /// take is buried.
  void make(absl::AnyInvocable<MadeAgent()> make, Made made);
  /// `gone` is called in a turn of its own once the agent is destroyed.
  void bury(std::unique_ptr<Agent> agent, Task gone);

 private:
  struct Job {
    absl::AnyInvocable<MadeAgent()> make;
    MadeAgent agent = std::unique_ptr<Agent>();
    Task over;
    std::thread thread;
  };

  void start(std::unique_ptr<Job> job);

  Reactor& reactor_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Job>> jobs_;
  Lifetime lifetime_;
};

}  // namespace baton::transport::nixl
