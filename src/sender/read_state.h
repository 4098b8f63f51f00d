// What a ReadHandle and the progress thread share.
#pragma once

#include <optional>

#include "baton/read_handle.h"
#include "src/base/scheduler.h"
#include "src/base/thread_annotations.h"

namespace baton::detail {

/// Threads: any.
class ReadState {
 public:
  explicit ReadState(const Scheduler& loop) : loop_(loop) {}

  void finish(StatusOr<ReadResult> result);
  /// No deadline: waits as long as it takes (the read's own deadlines end it).
  StatusOr<ReadResult> wait(std::optional<std::chrono::milliseconds> timeout);
  bool done() const;

 private:
  const Scheduler& loop_;  // only asked before the end
  mutable Mutex mutex_;
  CondVar ended_;
  std::optional<StatusOr<ReadResult>> result_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton::detail
