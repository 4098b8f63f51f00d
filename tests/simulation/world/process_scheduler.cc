#include "tests/simulation/world/process_scheduler.h"

#include <algorithm>
#include <utility>

namespace baton::simulation {
namespace {

/// Of turns that don't follow at once, and how late these are at most.
constexpr std::uint32_t kLateTurnPercent = 10;
constexpr Duration kLateTurn = std::chrono::microseconds(200);

}  // namespace

ProcessScheduler::ProcessScheduler(Scheduler& clock, Random random,
                                   absl::AnyInvocable<void()> before_turn)
    : clock_(clock), random_(random), before_turn_(std::move(before_turn)) {}

void ProcessScheduler::post(Task task) {
  tasks_.push_back(std::move(task));
  schedule_turn();
}

void ProcessScheduler::schedule_turn() {
  if (turn_scheduled_ || tasks_.empty()) {
    return;
  }
  turn_scheduled_ = true;
  TimePoint when = std::max(clock_.now(), paused_until_);
  if (random_.percent(kLateTurnPercent)) {
    when += random_.between(Duration(1), kLateTurn);
  }
  Task turn = lifetime_.guard([this] { take_turn(); });
  if (when > clock_.now()) {
    clock_.run_at(when, std::move(turn));
  } else {
    clock_.post(std::move(turn));
  }
}

void ProcessScheduler::take_turn() {
  turn_scheduled_ = false;
  if (clock_.now() >= paused_until_) {
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    run(std::move(task));
  }
  schedule_turn();
}

void ProcessScheduler::run(Task task) {
  before_turn_();
  running_ = true;
  task();
  task = nullptr;
  running_ = false;
}

TimerId ProcessScheduler::run_at(TimePoint when, Task task) {
  const TimerId id = ++last_timer_;
  const TimerId in_clock = clock_.run_at(when, lifetime_.guard([this, id] { fire(id); }));
  timers_.emplace(id, Timer{in_clock, std::move(task)});
  return id;
}

void ProcessScheduler::fire(TimerId timer) {
  const auto found = timers_.find(timer);
  if (clock_.now() < paused_until_) {
    found->second.in_clock =
        clock_.run_at(paused_until_, lifetime_.guard([this, timer] { fire(timer); }));
    return;
  }
  Task task = std::move(found->second.task);
  timers_.erase(found);
  run(std::move(task));
}

void ProcessScheduler::cancel(TimerId timer) {
  if (const auto found = timers_.find(timer); found != timers_.end()) {
    clock_.cancel(found->second.in_clock);
    timers_.erase(found);
  }
}

void ProcessScheduler::pause_until(TimePoint when) {
  const TimePoint from = std::max(clock_.now(), paused_until_);
  if (when > from) {
    paused_ += when - from;
    paused_until_ = when;
  }
}

}  // namespace baton::simulation
