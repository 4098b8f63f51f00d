// The turns of one simulated process on the shared virtual clock.
#pragma once

#include <absl/functional/any_invocable.h>

#include <deque>
#include <map>
#include <string>

#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "tests/simulation/world/random.h"

namespace baton::simulation {

/// Tasks run one at a time in the order in which they were posted, as in a real process, but
/// between them other processes get their turns, now and then for long. A paused process takes no
/// turn and its timers are late: SIGSTOP, or a host that swaps. A process that is destroyed takes
/// everything with it.
class ProcessScheduler final : public Scheduler {
 public:
  /// `before_turn` is told each time that this process is about to do something.
  ProcessScheduler(Scheduler& clock, Random random, absl::AnyInvocable<void()> before_turn);

  TimePoint now() const override { return clock_.now(); }
  void post(Task task) override;
  TimerId run_at(TimePoint when, Task task) override;
  void cancel(TimerId timer) override;
  bool on_loop() const override { return running_; }

  void pause_until(TimePoint when);
  /// How long it was paused in all, so far.
  Duration paused() const { return paused_; }
  /// Runs `task` as a turn of this process, now.
  void run(Task task);

 private:
  void schedule_turn();
  void take_turn();
  void fire(TimerId timer);

  struct Timer {
    TimerId in_clock;
    Task task;
  };

  Scheduler& clock_;
  Random random_;
  absl::AnyInvocable<void()> before_turn_;
  std::deque<Task> tasks_;
  std::map<TimerId, Timer> timers_;
  TimerId last_timer_ = kNoTimer;
  bool turn_scheduled_ = false;
  bool running_ = false;
  TimePoint paused_until_{};
  Duration paused_{};
  Lifetime lifetime_;
};

}  // namespace baton::simulation
