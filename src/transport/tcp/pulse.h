// Says "I am here" where there is nothing else to say, and notices who no longer does.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>

#include "baton/status.h"
#include "src/base/scheduler.h"
#include "src/transport/tcp/tcp_options.h"

namespace baton::transport::tcp {

/// For one open stream. Counts its own ticks, not the time: a process that was itself stopped for a
/// minute has missed one tick, and accuses nobody.
class Pulse {
 public:
  struct Actions {
    /// Nothing was said since the last tick. Must not destroy the Pulse.
    Task beat;
    /// Nothing was heard for the silence limit. Called last: may destroy the Pulse.
    absl::AnyInvocable<void(const Status& why)> give_up;
  };

  Pulse(Scheduler& scheduler, const TcpOptions& options, Actions actions);
  ~Pulse();
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;

  /// Any byte counts.
  void heard() { silent_ticks_ = 0; }
  void said() { said_ = true; }

 private:
  void tick_later();
  void tick();

  Scheduler& scheduler_;
  const Duration interval_;
  const std::int64_t max_silent_ticks_;
  Actions actions_;
  std::int64_t silent_ticks_ = 0;
  bool said_ = false;
  TimerId timer_ = kNoTimer;
};

}  // namespace baton::transport::tcp
