#include "tests/simulation/model/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace baton::simulation {
namespace {

/// By when a sender has had the turns in which it gives staging back: more than any pause.
constexpr Duration kGiveBack = std::chrono::milliseconds(200);
/// By when the ranks of a group know that one of them has crashed, and have ended what it shared.
constexpr Duration kGroupNotices = std::chrono::seconds(2);
/// Between the admissions of two ranks of one request: some messages.
constexpr Duration kRanksApart = std::chrono::milliseconds(100);

}  // namespace

Checker::Checker(Scheduler& clock, History& history, Coverage& coverage, Content& content)
    : clock_(clock),
      history_(history),
      coverage_(coverage),
      content_(content),
      verdict_(history),
      calls_(clock, verdict_) {}

// ---- processes ---------------------------------------------------------------------------------

void Checker::sender_started(const std::string& name, const Epoch& epoch,
                             const StagingPool& staging) {
  alive_[name] = epoch;
  by_hex_[epoch.hex()] = epoch;
  senders_[epoch] = {name, &staging};
}

void Checker::receiver_started(const std::string& name, const Epoch& epoch,
                               receiver::Receiver& receiver, const RegisteredBuffer& buffer) {
  alive_[name] = epoch;
  by_hex_[epoch.hex()] = epoch;
  receivers_[epoch] =
      std::make_unique<PageModel>(name, receiver, buffer, content_, verdict_, coverage_);
}

void Checker::crashed(const std::string& name) {
  watches_failures_ &= name != "proxy";  // Its successor is told nothing of what began before.
  const auto found = alive_.find(name);
  if (found == alive_.end()) {
    return;
  }
  const Epoch epoch = found->second;
  alive_.erase(found);
  last_crash_[name.substr(0, name.find('.'))] = clock_.now();
  senders_.erase(epoch);
  receivers_.erase(epoch);
  std::erase_if(admitted_, [&](const auto& entry) { return entry.first.sender == epoch; });
}

void Checker::after_turn(const std::string& name) {
  if (watches_ranks_) {
    check_ranks();
  }
  const auto found = alive_.find(name);
  if (found == alive_.end()) {
    return;
  }
  if (const auto receiver = receivers_.find(found->second); receiver != receivers_.end()) {
    receiver->second->after_turn();
  } else if (const auto sender = senders_.find(found->second); sender != senders_.end()) {
    check_staging(sender->first, sender->second);
  }
}

/// P4: staging pages are promised only to requests that the receiver has admitted.
void Checker::check_staging(const Epoch& epoch, const SenderView& sender) {
  const std::uint32_t reserved = sender.staging->counts().reserved;
  if (reserved == 0) {
    return;
  }
  std::uint32_t allowed = 0;
  std::erase_if(admitted_, [this](const auto& entry) {
    return entry.second.closed < clock_.now() - kGiveBack;
  });
  for (const auto& [name, admitted] : admitted_) {
    allowed += name.sender == epoch ? admitted.pages - admitted.taken : 0;
  }
  if (reserved > allowed) {
    broken(Promise::kP4, fmt::format("sender {} keeps {} staging pages reserved, its admitted "
                                     "requests may have {}",
                                     sender.name, reserved, allowed));
  }
}

void Checker::landed(const transport::LoopbackConditions::Landing& landing) {
  if (const auto found = receivers_.find(landing.receiver); found != receivers_.end()) {
    found->second->landed(landing);
  }
}

void Checker::read_landed(const transport::LoopbackConditions::Landing& landing) {
  if (const auto found = receivers_.find(landing.receiver); found != receivers_.end()) {
    found->second->read_landed(landing);
  }
}

void Checker::fencing(const Epoch& sender, const Epoch& receiver) {
  if (const auto found = receivers_.find(receiver);
      found != receivers_.end() && found->second->is_read_by(sender)) {
    coverage_.hit(Point::kReadFenced);
  }
}

void Checker::fenced(const Epoch& sender, const Epoch& receiver) {
  if (const auto found = receivers_.find(receiver); found != receivers_.end()) {
    found->second->fenced(sender);
  }
}

// ---- engines -----------------------------------------------------------------------------------

void Checker::submitted(const AttemptName& name, const std::vector<std::string>& keys,
                        bool is_last) {
  AttemptSeen& seen = notices_.attempt(name.sender, name.req_id, name.attempt);
  if (seen.begun == TimePoint{}) {
    seen.begun = clock_.now();
  }
  seen.keys.insert(keys.begin(), keys.end());
  seen.sealed |= is_last;
}

void Checker::put_ended(const AttemptName& name, const Status& status) {
  AttemptSeen& seen = notices_.attempt(name.sender, name.req_id, name.attempt);
  coverage_.hit(status.ok() ? Point::kPutSucceeded : Point::kPutFailed);
  if (status.ok()) {
    return;
  }
  if (seen.notified && !seen.failed) {
    broken(Promise::kP2, fmt::format("the proxy was told of request {}, but a put of it failed: {}",
                                     name.req_id, std::string(status.message())));
  }
  seen.failed = true;
  if (watches_failures_ && !seen.failure_told) {
    broken(Promise::kP5,
           fmt::format("a put of request {} has failed, and the proxy was not told", name.req_id));
  }
}

void Checker::staging_taken(const AttemptName& name, std::uint32_t pages) {
  if (const auto found = admitted_.find(name); found != admitted_.end()) {
    found->second.taken += pages;
  }
}

bool Checker::recently_crashed(std::string_view group) const {
  const auto found = last_crash_.find(group);
  return found != last_crash_.end() && clock_.now() - found->second < kGroupNotices;
}

void Checker::note_admission(const AttemptName& name) {
  const auto [found, first] =
      half_admitted_.try_emplace({name.req_id, name.attempt}, HalfAdmitted{name, clock_.now()});
  if (!first && found->second.name != name) {
    half_admitted_.erase(found);
  }
}

/// P4: no rank of a request holds pages while another waits for its own.
void Checker::check_ranks() {
  for (const auto& [attempt, half] : half_admitted_) {
    if (clock_.now() - half.since > kRanksApart) {
      broken(Promise::kP4, fmt::format("request {} has pages at one rank, and waits at the other",
                                       attempt.first));
    }
  }
}

void Checker::staging_closed(const AttemptName& name) {
  half_admitted_.erase({name.req_id, name.attempt});
  if (const auto found = admitted_.find(name); found != admitted_.end()) {
    found->second.closed = std::min(found->second.closed, clock_.now());
  }
}

void Checker::released(const std::vector<AttemptName>& ranks) {
  for (const AttemptName& rank : ranks) {
    if (!notices_.attempt(rank.sender, rank.req_id, rank.attempt).notified) {
      broken(Promise::kP2, fmt::format("request {} was released, but not every rank has said that "
                                       "its chunks are committed",
                                       rank.req_id));
    }
  }
}

void Checker::read(std::string_view reader, const std::string& key,
                   std::span<const std::byte> bytes) {
  if (!std::ranges::equal(bytes, content_.of(key))) {
    broken(Promise::kP1, fmt::format("{} reads bytes that are not those of chunk {}", reader, key));
  }
}

}  // namespace baton::simulation
