// Runs the loop that a world of transports lives on, and lets a test wait for what happens there.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "src/base/event_loop.h"
#include "src/base/scheduler.h"
#include "src/base/thread_annotations.h"
#include "tests/support/virtual_scheduler.h"

namespace baton::conformance {

class LoopDriver {
 public:
  virtual ~LoopDriver() = default;

  virtual Scheduler& scheduler() = 0;
  /// Runs `task` on the loop and returns when it has run.
  virtual void run(Task task) = 0;
  /// Waits until `condition`, which is evaluated on the loop, holds. False if it never does: when
  /// nothing is left to run (virtual clock), or after a time that only a failure takes.
  virtual bool run_until(const std::function<bool()>& condition) = 0;
  /// To be called by whatever may make a condition true. From any thread.
  virtual void changed() = 0;
  /// No task runs afterwards.
  virtual void stop() = 0;
};

/// For transports that need no descriptors.
class VirtualDriver final : public LoopDriver {
 public:
  Scheduler& scheduler() override { return scheduler_; }
  void run(Task task) override;
  bool run_until(const std::function<bool()>& condition) override;
  void changed() override {}
  void stop() override {}

 private:
  testing::VirtualScheduler scheduler_;
};

/// A real EventLoop on its own thread.
class EventLoopDriver final : public LoopDriver {
 public:
  EventLoopDriver();
  ~EventLoopDriver() override;

  Reactor& reactor() { return *loop_; }
  Scheduler& scheduler() override { return *loop_; }
  void run(Task task) override;
  bool run_until(const std::function<bool()>& condition) override;
  void changed() override;
  void stop() override;

 private:
  std::unique_ptr<EventLoop> loop_;
  Mutex mutex_;
  CondVar cond_;
  std::uint64_t changes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace baton::conformance
