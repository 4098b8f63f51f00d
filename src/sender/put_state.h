// What a PutHandle and the progress thread share.
#pragma once

#include <optional>

#include "baton/put_handle.h"
#include "src/base/scheduler.h"
#include "src/base/thread_annotations.h"

namespace baton::detail {

/// Threads: any.
class PutState {
 public:
  explicit PutState(const Scheduler& loop) : loop_(loop) {}

  void finish(Status status, const PutStats& stats);
  /// No deadline: waits as long as it takes (the put's own deadlines end it).
  Status wait(std::optional<std::chrono::milliseconds> timeout);
  bool done() const;
  PutStats stats() const;

 private:
  const Scheduler& loop_;  // only asked before the end
  mutable Mutex mutex_;
  CondVar ended_;
  std::optional<Status> status_ ABSL_GUARDED_BY(mutex_);
  PutStats stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton::detail
