#include "tests/support/virtual_scheduler.h"

#include <algorithm>

namespace baton::testing {

TimerId VirtualScheduler::run_at(TimePoint when, Task task) {
  const TimerId id = next_timer_++;
  timers_.emplace(std::pair(when, id), std::move(task));
  return id;
}

void VirtualScheduler::cancel(TimerId timer) {
  for (auto it = timers_.begin(); it != timers_.end(); ++it) {
    if (it->first.second == timer) {
      timers_.erase(it);
      return;
    }
  }
}

void VirtualScheduler::run_task(Task task) {
  running_ = true;
  task();
  task = nullptr;
  running_ = false;
}

bool VirtualScheduler::step() {
  if (!tasks_.empty()) {
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    run_task(std::move(task));
    return true;
  }
  if (timers_.empty()) {
    return false;
  }
  auto node = timers_.extract(timers_.begin());
  now_ = std::max(now_, node.key().first);
  run_task(std::move(node.mapped()));
  return true;
}

void VirtualScheduler::run_ready() {
  while (!tasks_.empty()) {
    step();
  }
}

void VirtualScheduler::run_for(Duration duration) {
  const TimePoint end = now_ + duration;
  while (!tasks_.empty() || (!timers_.empty() && timers_.begin()->first.first <= end)) {
    step();
  }
  now_ = end;
}

}  // namespace baton::testing
