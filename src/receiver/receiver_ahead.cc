// Pages that senders have before they put: Receiver's half that grants them, and wants them back.
// docs/protocol.md, "Pages ahead".
#include <algorithm>
#include <utility>
#include <vector>

#include "src/base/log.h"
#include "src/receiver/receiver.h"
#include "src/wire/status_text.h"

namespace baton::receiver {
namespace {

/// Puts that wait for pages that were granted ahead. More are refused at once.
constexpr std::size_t kMaxParked = 16;

}  // namespace

void Receiver::handle(const control::Route& from, const wire::AheadRequest& message) {
  const Epoch& sender = message.parties.sender_epoch;
  Status fine = check_parties(from, message.parties);
  if (fine.ok() && !has_pages_ahead(peers_.at(sender).version)) {
    fine = absl::FailedPreconditionError(
        std::string("pages ahead need version 5 of the protocol (pd_protocol_max)"));
  }
  if (!fine.ok()) {
    wire::AheadGrant refusal;
    refusal.sequence = message.sequence;
    refusal.code = static_cast<std::uint32_t>(fine.code());
    refusal.message = wire::status_text(fine);
    answer(from, std::move(refusal));
    return;
  }
  Peer& peer = peers_.at(sender);
  if (message.sequence > peer.last_grant.sequence) {
    peer.last_grant = {};
    peer.last_grant.sequence = message.sequence;
    const auto held = static_cast<std::uint32_t>(pool_.ahead_of(sender).size());
    const std::uint32_t left = config_.max_peer_ahead - std::min(config_.max_peer_ahead, held);
    const bool wanted = parked_.empty();
    for (const Chunk* page :
         table_.grant_ahead(sender, wanted ? std::min(message.count, left) : 0)) {
      peer.last_grant.pages.push_back(page->page);
      peer.last_grant.generations.push_back(page->generation);
    }
    peer.recalled = false;
  } else if (message.sequence < peer.last_grant.sequence) {
    return;  // An old one, come late: it was answered.
  }
  if (!answer(from, peer.last_grant)) {
    lose(sender, cannot_tell());
  }
}

void Receiver::recall_ahead(bool again) {
  for (const Epoch& sender : pool_.holders_ahead()) {
    const auto peer = peers_.find(sender);
    if (peer == peers_.end() || peer->second.fencing || (peer->second.recalled && !again)) {
      continue;
    }
    peer->second.recalled = true;
    wire::DrainRequest recall;
    for (const std::uint32_t page : pool_.ahead_of(sender)) {
      recall.pages.push_back(page);
      recall.generations.push_back(pool_.generation_of(page));
    }
    answer(peer->second.route, std::move(recall));  // If it is lost, the next sweep says it again.
  }
}

bool Receiver::park(const control::Route& from, const wire::AllocRequest& message,
                    const Status& refusal) {
  if (!absl::IsResourceExhausted(refusal) || pool_.counts().ahead == 0 ||
      parked_.size() >= kMaxParked || table_.waiting() > 0) {
    return false;
  }
  const auto same = [&](const Parked& parked) {
    return parked.message.baton->put_id == message.baton->put_id &&
           parked.message.baton->parties == message.baton->parties;
  };
  if (std::any_of(parked_.begin(), parked_.end(), same)) {
    return true;  // Said again.
  }
  log::debug("[{}] put {} waits for pages that are granted ahead", message.async->req_id,
             message.baton->put_id);
  Parked& parked =
      parked_.emplace_back(Parked{from, message, env_.scheduler.now() + config_.lease});
  parked.message.eager.reset();  // No bytes are kept for who is not admitted: it writes them.
  recall_ahead(false);
  schedule_sweep();
  return true;
}

void Receiver::retry_parked() {
  std::vector<Parked> parked = std::exchange(parked_, {});
  for (Parked& put : parked) {
    const TimePoint deadline = put.deadline;
    const auto peer = peers_.find(put.message.baton->parties.sender_epoch);
    if (peer == peers_.end() || peer->second.fencing) {
      continue;  // Nobody waits for the answer.
    }
    auto result = table_.allocate(put.message, put.from);
    if (!result.ok() && absl::IsResourceExhausted(result.status()) &&
        env_.scheduler.now() < deadline && pool_.counts().ahead > 0) {
      parked_.push_back(std::move(put));
    } else {
      if (!result.ok()) {
        refuse(put.message, result.status());
      }
      answer_allocation(put.from, put.message, std::move(result));
    }
  }
}

void Receiver::on_settled() {
  if (!parked_.empty()) {
    retry_parked();
  }
  if (table_.somebody_waits() || !parked_.empty()) {
    recall_ahead(false);
  }
  claims_.recheck();
}

}  // namespace baton::receiver
