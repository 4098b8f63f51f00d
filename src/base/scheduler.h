// Time and turns: the seam through which all of Baton's logic sees the clock.
#pragma once

#include <absl/functional/any_invocable.h>

#include <chrono>
#include <cstdint>

namespace baton {

using Duration = std::chrono::nanoseconds;
/// A point on the scheduler's own monotonic clock. Means nothing in another process.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using Task = absl::AnyInvocable<void()>;
using TimerId = std::uint64_t;

inline constexpr TimerId kNoTimer = 0;

/// Runs tasks one at a time: a real thread (EventLoop) or a virtual clock (tests, simulator).
/// "On the loop" means: inside a task of this scheduler. Methods named `…_on_loop` anywhere in
/// Baton may be called only there.
class Scheduler {
 public:
  virtual ~Scheduler() = default;

  virtual TimePoint now() const = 0;

  /// Runs `task` in a later turn, never inside this call; tasks posted by one thread keep their
  /// order. The only method that any thread may call. After the scheduler has stopped, the task
  /// is destroyed without being run.
  virtual void post(Task task) = 0;

  /// Runs `task` once, at `when` or soon after, in a turn of its own. On the loop only.
  virtual TimerId run_at(TimePoint when, Task task) = 0;

  /// Forgets a timer; nothing happens if it has run already or is kNoTimer. On the loop only.
  virtual void cancel(TimerId timer) = 0;

  /// True inside a task of this scheduler (a blocking wait there would never end).
  virtual bool on_loop() const = 0;

  TimerId run_after(Duration delay, Task task) { return run_at(now() + delay, std::move(task)); }
};

/// A scheduler that also watches file descriptors. Only real I/O needs it.
class Reactor : public Scheduler {
 public:
  /// Level-triggered readiness; `ready` gets the EPOLL… bits. On the loop only. One watch an fd.
  using Ready = absl::AnyInvocable<void(std::uint32_t events)>;
  virtual void watch(int fd, std::uint32_t events, Ready ready) = 0;
  virtual void rewatch(int fd, std::uint32_t events) = 0;
  /// After this returns, `ready` is not called again (it may be called from inside `ready`).
  virtual void unwatch(int fd) = 0;
};

}  // namespace baton
