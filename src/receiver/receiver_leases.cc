// Who has been silent for too long: Receiver's half that never trusts a silence for ever.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "src/base/log.h"
#include "src/receiver/receiver.h"
#include "src/wire/status_text.h"

namespace baton::receiver {
namespace {

/// How often the receiver looks, in a lease; so an end is at most a quarter of a lease late.
constexpr std::uint32_t kSweepsPerLease = 4;

std::int64_t to_ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

void Receiver::handle(const control::Route& from, const wire::Heartbeat& message) {
  wire::HeartbeatAck ack;
  ack.sequence = message.sequence;
  const Status fine = check_parties(from, message.parties);
  ack.code = static_cast<std::uint32_t>(fine.code());
  ack.message = wire::status_text(fine);
  if (fine.ok()) {
    for (const wire::AttemptName& named : message.requests) {
      if (!table_.renew({message.parties.sender_epoch, named.req_id, named.attempt})) {
        ack.unknown.push_back(named);
      }
    }
  }
  answer(from, std::move(ack));
}

void Receiver::schedule_sweep() {
  if (sweep_timer_ == kNoTimer) {
    sweep_timer_ = env_.scheduler.run_after(config_.lease / kSweepsPerLease,
                                            lifetime_.guard([this] { sweep(); }));
  }
}

void Receiver::sweep() {
  sweep_timer_ = kNoTimer;
  const TimePoint trusted = env_.scheduler.now() - config_.lease;
  const auto leased = [this](const Epoch& sender) {
    const auto peer = peers_.find(sender);
    return peer != peers_.end() && !peer->second.fencing && has_leases(peer->second.version);
  };

  std::vector<Epoch> silent;
  for (const auto& [sender, peer] : peers_) {
    if (leased(sender) && peer.connected && peer.heard < trusted) {
      silent.push_back(sender);
    }
  }
  std::sort(silent.begin(), silent.end());
  for (const Epoch& sender : silent) {
    on_writer_gone(sender,
                   absl::DeadlineExceededError(fmt::format(
                       "nothing was heard of it for {} ms (pd_lease_ms)", to_ms(config_.lease))));
  }
  for (const RequestId& id : table_.silent_since(trusted)) {
    if (leased(id.sender)) {
      end_and_tell(id, absl::DeadlineExceededError(fmt::format(
                           "its sender has not spoken of request {} for {} ms (pd_lease_ms)",
                           id.req_id, to_ms(config_.lease))));
    }
  }
  for (const Epoch& sender : pool_.age_quarantine(kSweepsPerLease)) {
    if (leased(sender)) {
      on_writer_gone(
          sender, absl::DeadlineExceededError(fmt::format(
                      "it did not give pages back for {} ms (pd_lease_ms)", to_ms(config_.lease))));
    }
  }
  if (!peers_.empty()) {
    schedule_sweep();
  }
}

void Receiver::end_and_tell(const RequestId& id, const Status& why) {
  const Request* request = table_.find(id);
  if (request == nullptr) {
    return;
  }
  const auto peer = peers_.find(id.sender);
  if (request->state == Request::State::kWaiting) {
    on_open_decided(*request, why);
  } else if (request->state != Request::State::kComplete && peer != peers_.end() &&
             !peer->second.fencing && has_leases(peer->second.version)) {
    // If this is lost, the next heartbeat's answer says the same.
    answer(request->route,
           wire::EndNotif{id.req_id, id.attempt, static_cast<std::uint32_t>(why.code()),
                          wire::status_text(why)});
  }
  table_.end(id, why);
}

}  // namespace baton::receiver
