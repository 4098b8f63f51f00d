// When to say again what was not answered.
#pragma once

#include <algorithm>
#include <utility>

#include "src/base/lifetime.h"
#include "src/base/scheduler.h"

namespace baton::sender {

/// Fires after 1 s, 2 s, 4 s, then every 8 s, until it is stopped: a reconnecting socket may have
/// lost the message, and a receiver that is busy should not be asked for ever faster. On the loop.
class ResendTimer {
 public:
  static constexpr Duration kFirst = std::chrono::seconds(1);
  static constexpr Duration kLongest = std::chrono::seconds(8);

  explicit ResendTimer(Scheduler& scheduler) : scheduler_(scheduler) {}
  ~ResendTimer() { stop(); }
  ResendTimer(const ResendTimer&) = delete;
  ResendTimer& operator=(const ResendTimer&) = delete;

  /// Begins anew. `resend` must not destroy the timer.
  void start(Task resend) {
    stop();
    resend_ = std::move(resend);
    delay_ = kFirst;
    arm();
  }
  void stop() { scheduler_.cancel(std::exchange(timer_, kNoTimer)); }

 private:
  void arm() {
    timer_ = scheduler_.run_after(delay_, lifetime_.guard([this] {
      delay_ = std::min(2 * delay_, kLongest);
      arm();
      resend_();
    }));
  }

  Scheduler& scheduler_;
  Task resend_;
  Duration delay_{};
  TimerId timer_ = kNoTimer;
  Lifetime lifetime_;
};

}  // namespace baton::sender
