#include "src/transport/nixl/notifications.h"

#include <chrono>
#include <utility>

namespace baton::transport::nixl {
namespace {

constexpr Duration kBetweenLooks = std::chrono::seconds(1);

}  // namespace

NotificationDrain::NotificationDrain(Scheduler& scheduler, const Agent& agent, Flooded flooded)
    : scheduler_(scheduler), agent_(agent), flooded_(std::move(flooded)) {
  look_later();
}

void NotificationDrain::look_later() {
  timer_ = scheduler_.run_after(kBetweenLooks, [this] {
    timer_ = kNoTimer;
    if (const Status fine = agent_.drop_notifications(); !fine.ok()) {
      Flooded flooded = std::move(flooded_);  // It may destroy this.
      flooded(fine);
      return;
    }
    look_later();
  });
}

}  // namespace baton::transport::nixl
