// What a peer's agent notifies, which nobody asked for.
#pragma once

#include <absl/functional/any_invocable.h>

#include "baton/status.h"
#include "src/base/scheduler.h"
#include "src/transport/nixl/agent.h"

namespace baton::transport::nixl {

/// Drops a peer's notifications once a second, so that they don't pile up in an agent whose
/// progress thread takes them in. On the loop only; the agent outlives it.
class NotificationDrain {
 public:
  /// The peer sends so many that its agent has to end. Called once, last, from a turn of its own;
  /// may destroy the drain.
  using Flooded = absl::AnyInvocable<void(const Status& why)>;

  NotificationDrain(Scheduler& scheduler, const Agent& agent, Flooded flooded);
  ~NotificationDrain() { scheduler_.cancel(timer_); }
  NotificationDrain(const NotificationDrain&) = delete;
  NotificationDrain& operator=(const NotificationDrain&) = delete;

 private:
  void look_later();

  Scheduler& scheduler_;
  const Agent& agent_;
  Flooded flooded_;
  TimerId timer_ = kNoTimer;
};

}  // namespace baton::transport::nixl
