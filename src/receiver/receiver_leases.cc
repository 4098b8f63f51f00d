// Who has been silent for too long: Receiver's half that never trusts a silence for ever.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
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
  // What a sender of version 1 has lost is never named or missed: it has the longest time that any
  // request has.
  for (const RequestId& id : table_.silent_since(env_.scheduler.now() - config_.claim_ttl)) {
    end_and_tell(id, absl::DeadlineExceededError(fmt::format(
                         "its sender has not spoken of request {} for {} ms (pd_claim_ttl_ms; it "
                         "has no heartbeats)",
                         id.req_id, to_ms(config_.claim_ttl))));
  }
  ask_for_drains();
  ask_for_releases();
  retry_parked();
  if (table_.somebody_waits() || !parked_.empty()) {
    recall_ahead(true);
  }
  if (++sweeps_ % kSweepsPerLease == 0) {
    strikes_.clear();  // Forgiven: only many in a lease cut off.
  }
  if (!peers_.empty() || !strikes_.empty() || (stock_ != nullptr && !stock_->is_idle())) {
    schedule_sweep();
  }
}

void Receiver::ask_for_drains() {
  std::set<Epoch> overdue;
  std::map<Epoch, std::uint32_t> of_others;
  const auto rounds_without_lease =
      static_cast<std::uint32_t>(kSweepsPerLease * (config_.claim_ttl / config_.lease + 1));
  for (const ChunkPool::Quarantined& page : pool_.age_quarantine()) {
    const auto peer = peers_.find(page.writer.sender);
    if (peer == peers_.end()) {
      ++of_others[page.writer.sender];
    }
    if (peer == peers_.end() || peer->second.fencing) {
      continue;
    }
    const bool leased = has_leases(peer->second.version);
    if (page.rounds > (leased ? kSweepsPerLease : rounds_without_lease)) {
      overdue.insert(page.writer.sender);
    } else if (leased && page.rounds == kSweepsPerLease / 2 && !peer->second.route.empty()) {
      // It may never have heard of the grant: its put was over before the answer came, or that
      // was lost. A put that has ended drains what it is granted.
      answer(peer->second.route,
             wire::DrainRequest{page.writer.put_id, {page.page}, {page.generation}});
    }
  }
  if (stock_ != nullptr) {
    stock_->sweep(of_others);
  }
  for (const Epoch& sender : overdue) {
    on_writer_gone(sender,
                   absl::DeadlineExceededError(std::string("it did not give pages back in time")));
  }
}

void Receiver::end_and_tell(const RequestId& id, const Status& why) {
  const Request* request = table_.find(id);
  if (request == nullptr) {
    return;
  }
  const auto peer = peers_.find(id.sender);
  if (request->state <= Request::State::kReserved) {
    // Not as kUnavailable: that would say that this receiver doesn't know the sender.
    on_open_decided(*request, absl::IsUnavailable(why) ? absl::AbortedError(why.message()) : why);
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
