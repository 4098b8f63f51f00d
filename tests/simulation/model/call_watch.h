// Every call's callback comes exactly once, and in time (P5).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "tests/simulation/model/verdict.h"
#include "tests/simulation/world/process_scheduler.h"

namespace baton::simulation {

/// Time in which the process was paused doesn't count, and what a crashed process owed is forgiven.
class CallWatch {
 public:
  using CallId = std::uint64_t;

  CallWatch(Scheduler& clock, Verdict& verdict) : clock_(clock), verdict_(verdict) {}

  /// `process` makes the call now, and must be called back within `bound`.
  CallId begin(const ProcessScheduler& process, std::string what, Duration bound);
  void end(CallId call);
  /// It crashed.
  void forgive(const ProcessScheduler& process);
  std::size_t open() const { return calls_.size(); }

 private:
  struct Call {
    const ProcessScheduler* process;
    std::string what;
    TimePoint due;
    Duration paused_before;
    TimerId timer;
  };
  void on_due(CallId call);

  Scheduler& clock_;
  Verdict& verdict_;
  std::map<CallId, Call> calls_;
  CallId last_id_ = 0;
  Lifetime lifetime_;
};

}  // namespace baton::simulation
