#include "src/transport/tcp/pulse.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace baton::transport::tcp {
namespace {

/// Rounded up. With fewer than two a peer would have to beat in every single interval.
std::int64_t ticks_in(Duration limit, Duration interval) {
  return std::max<std::int64_t>((limit + interval - Duration(1)) / interval, 2);
}

}  // namespace

Pulse::Pulse(Scheduler& scheduler, const TcpOptions& options, Actions actions)
    : scheduler_(scheduler),
      interval_(options.heartbeat_interval),
      max_silent_ticks_(ticks_in(options.silence_limit, options.heartbeat_interval)),
      actions_(std::move(actions)) {
  tick_later();
}

Pulse::~Pulse() {
  scheduler_.cancel(timer_);
}

void Pulse::tick_later() {
  timer_ = scheduler_.run_after(interval_, [this] { tick(); });
}

void Pulse::tick() {
  tick_later();
  // What was heard between two ticks has set the count to 0: so the first silent tick is the one
  // after the next.
  if (++silent_ticks_ > max_silent_ticks_) {
    const auto limit = max_silent_ticks_ * interval_;
    auto give_up = std::move(actions_.give_up);  // The Pulse, too, may end in it.
    give_up(absl::UnavailableError(
        fmt::format("the peer has been silent for {} ms",
                    std::chrono::duration_cast<std::chrono::milliseconds>(limit).count())));
    return;
  }
  if (!std::exchange(said_, false)) {
    actions_.beat();
  }
}

}  // namespace baton::transport::tcp
