// Digests of many chunks, in bounded slices, so that a loop keeps its time.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <deque>
#include <span>

#include "src/base/digest.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"

namespace baton {

/// First come, first served; one slice a turn. On the loop only.
class DigestQueue {
 public:
  /// About 0.15 ms of hashing: far below any heartbeat, far above the cost of a turn.
  static constexpr std::size_t kSliceBytes = std::size_t{1} << 20U;

  explicit DigestQueue(Scheduler& scheduler) : scheduler_(scheduler) {}

  using Done = absl::AnyInvocable<void(std::uint64_t digest)>;
  /// `bytes` must stay readable until `done`, which is never called inline and must not destroy
  /// the queue.
  void add(std::span<const std::byte> bytes, Done done);

 private:
  struct Job {
    std::span<const std::byte> left;
    DigestStream stream;
    Done done;
  };

  void run_slice();
  void schedule();

  Scheduler& scheduler_;
  std::deque<Job> jobs_;
  bool scheduled_ = false;
  Lifetime lifetime_;
};

}  // namespace baton
