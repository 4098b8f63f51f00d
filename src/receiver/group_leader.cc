#include "src/receiver/group_leader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/log.h"
#include "src/wire/status_text.h"

namespace baton::receiver {

using wire::AttemptName;
using wire::GroupWord;

namespace {

/// Incarnations of a rank whose late words are known as such.
constexpr std::size_t kFormerRemembered = 8;

}  // namespace

GroupLeader::GroupLeader(Scheduler& scheduler, RequestTable& table, const Config& config,
                         const Epoch& epoch, Send send, EndHere end_here)
    : scheduler_(scheduler),
      table_(table),
      config_(config),
      epoch_(epoch),
      send_(std::move(send)),
      end_here_(std::move(end_here)),
      followers_(config.layout.world_size) {
  tick_timer_ = scheduler_.run_after(config_.lease / kGroupTicksPerLease,
                                     lifetime_.guard([this] { tick(); }));
}

GroupLeader::~GroupLeader() {
  scheduler_.cancel(tick_timer_);
}

// ---- members -----------------------------------------------------------------------------------

void GroupLeader::handle(const control::Route& from, const wire::GroupJoin& join) {
  wire::GroupJoinAck ack;
  ack.epoch = epoch_;
  if (join.world_size != config_.layout.world_size) {
    const Status why = absl::FailedPreconditionError(
        fmt::format("rank {} says that the group has {} ranks, the leader {}", join.worker_id,
                    join.world_size, config_.layout.world_size));
    ack.code = static_cast<std::uint32_t>(why.code());
    ack.message = wire::status_text(why);
    log::limited_warning("{}", ack.message);
    send_(from, ack);
    return;
  }
  Follower& follower = followers_[join.worker_id];
  if (std::find(follower.former.begin(), follower.former.end(), join.epoch) !=
      follower.former.end()) {
    return;
  }
  if (follower.epoch != Epoch{} && follower.epoch != join.epoch) {
    follower.former.push_back(follower.epoch);
    if (follower.former.size() > kFormerRemembered) {
      follower.former.pop_front();
    }
    if (follower.present) {
      lose(follower, absl::UnavailableError(fmt::format("rank {} has restarted", join.worker_id)));
    }
  }
  if (!std::exchange(follower.present, true)) {
    log::info("rank {} ({}) has joined the group", join.worker_id, join.epoch.brief());
  }
  follower.epoch = join.epoch;
  follower.route = from;
  follower.heard = scheduler_.now();
  in_batches(table_.living_attempts(), config_.limits.max_named_requests,
             [&](std::vector<AttemptName> batch) {
               ack.living = std::move(batch);
               send_(from, ack);
             });
  for (const AttemptName& name : join.living) {
    if (const Status* why = failed_.find(name); why != nullptr) {
      say(join.worker_id, name, GroupWord::kEnded, 0, *why);
    }
  }
}

void GroupLeader::lose(Follower& follower, const Status& why) {
  follower.present = false;
  const auto rank = static_cast<std::size_t>(&follower - followers_.data());
  for (auto& [name, attempt] : attempts_) {
    if (!attempt.admitted) {
      attempt.ranks[rank] = Attempt::Rank::kAbsent;  // Its successor may open it.
      give_up_try(name, attempt);
    }
  }
  for (const AttemptName& name : table_.living_attempts()) {
    const Request* request = table_.find_attempt(name);
    if (request != nullptr && request->state != Request::State::kWaiting) {
      fail(name, why);
    }
  }
}

void GroupLeader::tick() {
  tick_timer_ = scheduler_.run_after(config_.lease / kGroupTicksPerLease,
                                     lifetime_.guard([this] { tick(); }));
  const TimePoint trusted = scheduler_.now() - config_.lease;
  for (std::uint32_t rank = 1; rank < followers_.size(); ++rank) {
    if (followers_[rank].present && followers_[rank].heard < trusted) {
      lose(followers_[rank],
           absl::DeadlineExceededError(fmt::format("rank {} was silent (pd_lease_ms)", rank)));
    }
  }
  for (auto& [name, attempt] : attempts_) {
    for (std::uint32_t rank = 1; attempt.round != 0 && rank < attempt.ranks.size(); ++rank) {
      if (attempt.ranks[rank] != Attempt::Rank::kReserved) {
        say(rank, name, GroupWord::kReserve, attempt.round);
      }
    }
  }
  // Undecided ones that this rank never opened, and decided ones that are gone.
  std::erase_if(attempts_, [&](const auto& entry) {
    return entry.second.since < scheduler_.now() - config_.max_admission_wait &&
           table_.find_attempt(entry.first) == nullptr;
  });
}

// ---- admission ---------------------------------------------------------------------------------

GroupLeader::Attempt& GroupLeader::attempt_of(const AttemptName& name) {
  const auto [found, added] = attempts_.try_emplace(name);
  if (added) {
    found->second.ranks.assign(followers_.size(), Attempt::Rank::kAbsent);
    found->second.since = scheduler_.now();
  }
  return found->second;
}

void GroupLeader::on_opened(Request& request) {
  const AttemptName name = request.id.attempt_name();
  update(name, attempt_of(name));
}

void GroupLeader::update(const AttemptName& name, Attempt& attempt) {
  Request* request = table_.find_attempt(name);
  if (request == nullptr || request->state != Request::State::kWaiting) {
    return;
  }
  const auto has = [&](Attempt::Rank rank) {
    return std::find(attempt.ranks.begin() + 1, attempt.ranks.end(), rank) != attempt.ranks.end();
  };
  request->ranks = has(Attempt::Rank::kAbsent)    ? Request::Ranks::kForming
                   : has(Attempt::Rank::kRefused) ? Request::Ranks::kNoRoom
                                                  : Request::Ranks::kReady;
  table_.schedule_settle();
}

void GroupLeader::on_reserved(Request& request) {
  const AttemptName name = request.id.attempt_name();
  Attempt& attempt = attempt_of(name);
  attempt.round = ++last_round_;
  say_to_all(name, GroupWord::kReserve, attempt.round);
}

Status GroupLeader::handle(const control::Route& from, const wire::GroupNotif& notif) {
  const auto follower =
      std::find_if(followers_.begin(), followers_.end(), [&](const Follower& member) {
        return member.present && member.route == from && member.epoch == notif.parties.sender_epoch;
      });
  if (follower == followers_.end() || notif.parties.receiver_epoch != epoch_) {
    return absl::PermissionDeniedError(
        fmt::format("a word about request {} from no member of this group", notif.attempt.req_id));
  }
  follower->heard = scheduler_.now();
  const auto rank = static_cast<std::uint32_t>(follower - followers_.begin());
  if (notif.word == GroupWord::kEnded) {
    fail(notif.attempt, Status(static_cast<StatusCode>(notif.code), notif.message));
    return absl::OkStatus();
  }
  if (const Status* why = failed_.find(notif.attempt); why != nullptr) {
    say(rank, notif.attempt, GroupWord::kEnded, 0, *why);
    return absl::OkStatus();
  }
  if (attempts_.size() >= 2 * std::size_t{config_.max_open_requests} &&
      !attempts_.contains(notif.attempt)) {
    return absl::ResourceExhaustedError(
        fmt::format("{} attempts of the group are undecided already", attempts_.size()));
  }
  Attempt& attempt = attempt_of(notif.attempt);
  const bool current = attempt.round != 0 && notif.round == attempt.round;
  if (notif.word == GroupWord::kOpened && attempt.round == 0) {
    attempt.ranks[rank] = Attempt::Rank::kOpened;
    update(notif.attempt, attempt);
  } else if (notif.word == GroupWord::kReserved) {
    if (attempt.admitted) {
      say(rank, notif.attempt, GroupWord::kAdmitted, notif.round);
    } else if (current) {
      attempt.ranks[rank] = Attempt::Rank::kReserved;
      admit_if_all(notif.attempt, attempt);
    } else {
      say(rank, notif.attempt, GroupWord::kWithdraw, notif.round);
    }
  } else if (notif.word == GroupWord::kRefused && current) {
    attempt.ranks[rank] = Attempt::Rank::kRefused;
    give_up_try(notif.attempt, attempt);
  }
  return absl::OkStatus();
}

void GroupLeader::give_up_try(const AttemptName& name, Attempt& attempt) {
  if (attempt.round != 0) {
    say_to_all(name, GroupWord::kWithdraw, std::exchange(attempt.round, 0));
    std::replace(attempt.ranks.begin(), attempt.ranks.end(), Attempt::Rank::kReserved,
                 Attempt::Rank::kOpened);
  }
  if (Request* request = table_.find_attempt(name); request != nullptr) {
    table_.withdraw(*request);
    update(name, attempt);
  }
}

void GroupLeader::admit_if_all(const AttemptName& name, Attempt& attempt) {
  const bool all = std::all_of(attempt.ranks.begin() + 1, attempt.ranks.end(),
                               [](Attempt::Rank rank) { return rank == Attempt::Rank::kReserved; });
  Request* request = table_.find_attempt(name);
  if (all && request != nullptr) {
    attempt.admitted = true;
    say_to_all(name, GroupWord::kAdmitted, std::exchange(attempt.round, 0));
    table_.admit_reserved(*request);
  }
}

// ---- ends --------------------------------------------------------------------------------------

void GroupLeader::on_ended(const AttemptName& attempt, const Status& why) {
  fail(attempt, why);
}

void GroupLeader::fail(const AttemptName& attempt, const Status& why) {
  const AttemptName name = attempt;  // It may be in what is erased here.
  if (!failed_.remember(name, why)) {
    return;
  }
  attempts_.erase(name);
  say_to_all(name, GroupWord::kEnded, 0, why);
  end_here_(name, why);
}

void GroupLeader::say(std::uint32_t rank, const AttemptName& name, GroupWord word,
                      std::uint64_t round, const Status& why) {
  if (followers_[rank].present) {
    send_(followers_[rank].route, wire::GroupNotif{{epoch_, followers_[rank].epoch},
                                                   name,
                                                   word,
                                                   round,
                                                   static_cast<std::uint32_t>(why.code()),
                                                   wire::status_text(why)});
  }
}

void GroupLeader::say_to_all(const AttemptName& name, GroupWord word, std::uint64_t round,
                             const Status& why) {
  for (std::uint32_t rank = 1; rank < followers_.size(); ++rank) {
    say(rank, name, word, round, why);
  }
}

}  // namespace baton::receiver
