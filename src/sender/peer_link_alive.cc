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
/// Words not acknowledged yet: more than all puts and reads together that may be under way.
constexpr std::size_t kMaxOwed = 16'384;

}  // namespace

// ---- what must be acknowledged -----------------------------------------------------------------

void PeerLink::send_drain(wire::DrainNotif drained) {
  drained.sequence = ++last_drain_;
  owe({std::move(drained), scheduler_.now() + config_.drain_timeout});
}

void PeerLink::send_read_release(std::uint64_t read_id) {
  const auto known = std::find_if(owed_.begin(), owed_.end(), [&](const Owed& word) {
    const auto* release = std::get_if<wire::ReadRelease>(&word.message);
    return release != nullptr && release->read_id == read_id;
  });
  if (known == owed_.end()) {
    owe({wire::ReadRelease{parties(), read_id}, scheduler_.now() + config_.drain_timeout});
  } else {
    say(*known);  // Whoever asks for it has not heard it.
  }
}

void PeerLink::owe(Owed word) {
  if (state_ != State::kReady || is_stock_) {
    return;  // The receiver sees the lost connection; an LMCache one gets a CancelNotif.
  }
  if (owed_.size() >= kMaxOwed) {
    reset(absl::ResourceExhaustedError(
        fmt::format("receiver {} left {} drains and releases without an acknowledgement",
                    address_.init_endpoint, owed_.size())));
    return;
  }
  owed_.push_back(std::move(word));
  if (owed_timer_ == kNoTimer) {
    owed_timer_ = scheduler_.run_after(config_.drain_timeout / kDrainTries,
                                       attempt_->guard([this] { repeat_owed(); }));
  }
  say(owed_.back());
}

void PeerLink::say(const Owed& word) {
  // A copy: what can't be said resets the link, and nothing is owed any more.
  send_or_reset(
      std::visit([](const auto& message) { return wire::Message(message); }, word.message));
}

void PeerLink::on_drain_ack(const wire::DrainAck& ack) {
  // A receiver of version 1 doesn't echo the sequence, but answers in order.
  const auto acknowledged = std::find_if(owed_.begin(), owed_.end(), [&](const Owed& word) {
    const auto* drain = std::get_if<wire::DrainNotif>(&word.message);
    return drain != nullptr &&
           (may_repeat() ? drain->sequence == ack.sequence : drain->put_id == ack.put_id);
  });
  if (acknowledged != owed_.end()) {
    owed_.erase(acknowledged);
  }
}

void PeerLink::on_read_release_ack(const wire::ReadReleaseAck& ack) {
  std::erase_if(owed_, [&](const Owed& word) {
    const auto* release = std::get_if<wire::ReadRelease>(&word.message);
    return release != nullptr && release->read_id == ack.read_id;
  });
}

void PeerLink::repeat_owed() {
  owed_timer_ = kNoTimer;
  if (owed_.empty()) {
    return;
  }
  if (owed_.front().deadline <= scheduler_.now()) {
    const bool drain = std::holds_alternative<wire::DrainNotif>(owed_.front().message);
    reset(absl::DeadlineExceededError(
        fmt::format("receiver {} did not acknowledge {} within {} ms (pd_drain_timeout_ms)",
                    address_.init_endpoint, drain ? "a drain" : "the release of a read",
                    to_ms(config_.drain_timeout))));
    return;
  }
  owed_timer_ = scheduler_.run_after(config_.drain_timeout / kDrainTries,
                                     attempt_->guard([this] { repeat_owed(); }));
  for (std::size_t i = 0; may_repeat() && state_ == State::kReady && i < owed_.size(); ++i) {
    say(owed_[i]);
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
