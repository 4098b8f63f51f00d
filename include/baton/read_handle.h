// What came of one read.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "baton/status.h"

namespace baton {

namespace detail {
class ReadState;
}

/// What a read has brought.
struct ReadResult {
  std::uint32_t hits = 0;        ///< chunks that were read and verified: the OKs among `statuses`
  std::vector<Status> statuses;  ///< one per key, in order: OK, kNotFound, kDataLoss, …
  std::uint64_t bytes_read = 0;  ///< of the hits
  std::chrono::nanoseconds duration{0};  ///< submission to the end
};

/// A read under way. Copies refer to the same read; dropping them doesn't cancel it.
///
/// Threads: any.
class ReadHandle {
 public:
  ReadHandle() = default;
  explicit ReadHandle(std::shared_ptr<detail::ReadState> state) : state_(std::move(state)) {}

  /// Waits for the end. A read that went through is OK however many keys were missed; the error of
  /// one that failed as a whole is returned (kUnavailable, kDeadlineExceeded, kCancelled, …).
  /// kDeadlineExceeded too if `timeout` passes first; the read goes on. On a Baton callback's
  /// thread it would wait for itself: kFailedPrecondition.
  StatusOr<ReadResult> wait(std::chrono::milliseconds timeout) const;
  /// Waits as long as the read's own deadlines let it live.
  StatusOr<ReadResult> wait() const;
  bool done() const;

 private:
  std::shared_ptr<detail::ReadState> state_;
};

}  // namespace baton
