// A scheduler on a virtual clock, single-threaded: time passes only when nothing else is to do.
#pragma once

#include <deque>
#include <map>
#include <utility>

#include "src/base/scheduler.h"

namespace baton::testing {

class VirtualScheduler final : public Scheduler {
 public:
  TimePoint now() const override { return now_; }
  void post(Task task) override { tasks_.push_back(std::move(task)); }
  TimerId run_at(TimePoint when, Task task) override;
  void cancel(TimerId timer) override;
  bool on_loop() const override { return running_; }

  /// Runs one task, or, if none is posted, moves the clock to the next timer and runs it.
  /// False if there was nothing to run.
  bool step();
  /// Runs until nothing is posted; time stands still.
  void run_ready();
  /// Runs everything that becomes due within `duration`, then sets the clock to its end.
  void run_for(Duration duration);
  /// Steps until `condition()` holds; false if nothing is left to run or the step limit is hit.
  template <typename Condition>
  bool run_until(Condition condition, int max_steps = 1'000'000) {
    for (int i = 0; i < max_steps; ++i) {
      if (condition()) {
        return true;
      }
      if (!step()) {
        return condition();
      }
    }
    return false;
  }

 private:
  void run_task(Task task);

  TimePoint now_{};
  bool running_ = false;
  std::deque<Task> tasks_;
  std::map<std::pair<TimePoint, TimerId>, Task> timers_;
  TimerId next_timer_ = 1;
};

}  // namespace baton::testing
