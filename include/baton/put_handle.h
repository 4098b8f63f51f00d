// What came of one put.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "baton/status.h"

namespace baton {

namespace detail {
class PutState;
}

/// Filled when the put has ended.
struct PutStats {
  std::uint32_t chunks_total = 0;
  std::uint32_t chunks_sent = 0;  ///< written and committed by this put
  std::uint32_t chunks_skipped =
      0;  ///< left out: the receiver had them, or got them from another put
  std::uint64_t bytes_written = 0;       ///< of the chunks that were sent; in place moves none
  std::uint64_t bytes_eager = 0;         ///< of these, in the request, past the transport
  std::uint32_t restarts = 0;            ///< times it began anew because the receiver had restarted
  std::chrono::nanoseconds duration{0};  ///< submission to the end
};

/// A put under way. Copies refer to the same put; dropping them doesn't cancel it.
///
/// Threads: any.
class PutHandle {
 public:
  PutHandle() = default;
  explicit PutHandle(std::shared_ptr<detail::PutState> state) : state_(std::move(state)) {}

  /// Waits for the end and returns the put's status: OK only if every chunk is committed (and, for
  /// a request's last put, ProxyNotif was sent). kDeadlineExceeded if `timeout` passes first; the
  /// put goes on. On a Baton callback's thread it would wait for itself: kFailedPrecondition.
  Status wait(std::chrono::milliseconds timeout) const;
  /// Waits as long as the put's own deadlines let it live.
  Status wait() const;
  bool done() const;
  /// Zeros until done().
  PutStats stats() const;

 private:
  std::shared_ptr<detail::PutState> state_;
};

}  // namespace baton
