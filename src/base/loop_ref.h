// A way to a scheduler for objects that may outlive it.
#pragma once

#include <memory>
#include <utility>

#include "src/base/scheduler.h"
#include "src/base/thread_annotations.h"

namespace baton {

/// Handles that the user holds (a claim, a memory object) post their release through this. After
/// detach() they still can, and nothing happens.
///
/// Threads: all methods from any thread.
class LoopRef {
 public:
  explicit LoopRef(Scheduler& scheduler) : scheduler_(&scheduler) {}

  void post(Task task) {
    // A task that is dropped here must not die under the lock: it may post again. For the same
    // reason detach() comes before the scheduler stops.
    Task dropped;
    const MutexLock lock(mutex_);
    if (scheduler_ != nullptr) {
      scheduler_->post(std::move(task));
    } else {
      dropped = std::move(task);
    }
  }

  /// Before the scheduler goes away.
  void detach() {
    const MutexLock lock(mutex_);
    scheduler_ = nullptr;
  }

 private:
  Mutex mutex_;
  Scheduler* scheduler_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton
