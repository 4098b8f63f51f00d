// What keeps a link alive, or ends it: PeerLink's half that repeats, and listens for silence.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/batches.h"
#include "src/base/log.h"
#include "src/sender/milliseconds.h"
#include "src/sender/peer_link.h"

namespace baton::sender {
namespace {

/// Signs of life in a lease: three may be lost.
constexpr std::int64_t kBeatsPerLease = 4;
/// Times that a drain is said before the link is given up.
constexpr std::int64_t kDrainTries = 4;

}  // namespace

// ---- drains ------------------------------------------------------------------------------------

void PeerLink::send_drain(wire::DrainNotif drained) {
  if (state_ != State::kReady || is_stock_) {
    return;  // The receiver sees the lost connection; an LMCache one gets a CancelNotif.
  }
  drained.sequence = ++last_drain_;
  drains_.push_back({std::move(drained), scheduler_.now() + config_.drain_timeout});
  if (drain_timer_ == kNoTimer) {
    drain_timer_ = scheduler_.run_after(config_.drain_timeout / kDrainTries,
                                        attempt_->guard([this] { repeat_drains(); }));
  }
  send_or_reset(wire::DrainNotif(drains_.back().message));
}

void PeerLink::on_drain_ack(const wire::DrainAck& ack) {
  // A receiver of version 1 doesn't echo the sequence, but answers in order.
  const auto acknowledged = std::find_if(drains_.begin(), drains_.end(), [&](const Drain& drain) {
    return may_repeat() ? drain.message.sequence == ack.sequence
                        : drain.message.put_id == ack.put_id;
  });
  if (acknowledged != drains_.end()) {
    drains_.erase(acknowledged);
  }
}

void PeerLink::repeat_drains() {
  drain_timer_ = kNoTimer;
  if (drains_.empty()) {
    return;
  }
  if (drains_.front().deadline <= scheduler_.now()) {
    reset(absl::DeadlineExceededError(
        fmt::format("receiver {} did not acknowledge a drain within {} ms (pd_drain_timeout_ms)",
                    address_.init_endpoint, to_ms(config_.drain_timeout))));
    return;
  }
  drain_timer_ = scheduler_.run_after(config_.drain_timeout / kDrainTries,
                                      attempt_->guard([this] { repeat_drains(); }));
  for (std::size_t i = 0; may_repeat() && state_ == State::kReady && i < drains_.size(); ++i) {
    send_or_reset(wire::DrainNotif(drains_[i].message));
  }
}

// ---- heartbeats --------------------------------------------------------------------------------

void PeerLink::start_heartbeats() {
  heard_ = scheduler_.now();
  if (welcome_.lease_ms > 0) {
    const Duration shorter =
        std::min<Duration>(std::chrono::milliseconds(welcome_.lease_ms), config_.lease);
    beat_period_ = std::max<Duration>(shorter / kBeatsPerLease, std::chrono::milliseconds(1));
    beat();
  }
}

void PeerLink::beat() {
  beat_timer_ = kNoTimer;
  if (scheduler_.now() - heard_ > config_.lease) {
    reset(absl::DeadlineExceededError(fmt::format("receiver {} was silent for {} ms (pd_lease_ms)",
                                                  address_.init_endpoint, to_ms(config_.lease))));
    return;
  }
  beat_timer_ = scheduler_.run_after(beat_period_, attempt_->guard([this] { beat(); }));
  in_batches(callbacks_.list_requests(*this), config_.limits.max_named_requests,
             [this](std::vector<wire::AttemptName> batch) {
               const wire::Heartbeat heartbeat{parties(), ++beats_, std::move(batch)};
               if (Status sent = send(heartbeat); !sent.ok()) {
                 log::debug("no heartbeat: {}", std::string(sent.message()));  // The next may pass.
               }
             });
}

}  // namespace baton::sender
