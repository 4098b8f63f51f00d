// The progress thread: epoll, timers and a queue of tasks.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "baton/status.h"
#include "src/base/scheduler.h"
#include "src/base/thread_annotations.h"
#include "src/base/unique_fd.h"

struct epoll_event;

namespace baton {

/// One thread that runs tasks, timers and descriptor callbacks, one at a time. It sleeps in
/// epoll_wait when there is nothing to do, after spinning for `spin` if asked to. Unasked it spins
/// only while events come close together, for as long as it takes to be woken: in the middle of an
/// exchange, where whoever sleeps adds that to each of its turns.
///
/// Life: create(), start() (spawns the thread), stop() (runs no further task, joins). The
/// destructor stops. Tasks that were posted but not run are destroyed on the thread that stops.
class EventLoop final : public Reactor {
 public:
  static StatusOr<std::unique_ptr<EventLoop>> create(std::string thread_name,
                                                     Duration spin = Duration::zero());
  ~EventLoop() override;

  void start();
  /// From any thread but the loop's own. Idempotent.
  void stop();

  /// Runs `task` on the loop and returns when it has run. From any other thread, while started.
  void run_sync(Task task);

  TimePoint now() const override { return std::chrono::steady_clock::now(); }
  void post(Task task) override;
  TimerId run_at(TimePoint when, Task task) override;
  void cancel(TimerId timer) override;
  bool on_loop() const override;
  void watch(int fd, std::uint32_t events, Ready ready) override;
  void rewatch(int fd, std::uint32_t events) override;
  void unwatch(int fd) override;

 private:
  EventLoop(std::string thread_name, Duration spin, UniqueFd epoll, UniqueFd wake);

  void run();
  void run_posted();
  void run_due_timers();
  void poll_descriptors(int timeout_ms);
  int wait_for_events(std::span<epoll_event> events, int timeout_ms);
  int wait_ms() const;
  bool has_posted() const;
  /// Until the next timer, or the next event. Not if something was posted.
  int sleep(std::span<epoll_event> events);

  const std::string thread_name_;
  const Duration spin_;
  UniqueFd epoll_;
  UniqueFd wake_;  // eventfd: written when something is posted while the loop sleeps

  mutable Mutex mutex_;
  std::vector<Task> posted_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  /// It is in epoll_wait, or about to be, and nobody has woken it: who posts must.
  bool sleeps_ ABSL_GUARDED_BY(mutex_) = false;

  // On the loop only.
  bool events_are_dense_ = false;  // the last wait was short
  std::map<std::pair<TimePoint, TimerId>, Task> timers_;
  std::unordered_map<TimerId, TimePoint> timer_times_;
  TimerId next_timer_ = 1;
  struct Watch {
    Ready ready;
  };
  std::unordered_map<int, std::shared_ptr<Watch>> watches_;

  std::atomic<std::thread::id> thread_id_;
  std::thread thread_;
};

}  // namespace baton
