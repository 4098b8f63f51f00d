#include "src/receiver/group_follower.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/log.h"
#include "src/wire/codec.h"
#include "src/wire/status_text.h"

namespace baton::receiver {

using wire::AttemptName;
using wire::GroupWord;

GroupFollower::GroupFollower(Scheduler& scheduler, control::Network& network, RequestTable& table,
                             const Config& config, const Epoch& epoch, EndHere end_here)
    : scheduler_(scheduler),
      network_(network),
      table_(table),
      config_(config),
      epoch_(epoch),
      end_here_(std::move(end_here)),
      heard_(scheduler.now()) {
  connect();
  tick();
}

GroupFollower::~GroupFollower() {
  scheduler_.cancel(tick_timer_);
}

// ---- the leader --------------------------------------------------------------------------------

void GroupFollower::connect() {
  // A new identity each time: a server ignores one that it still believes connected.
  client_.reset();
  auto client = network_.connect_client(
      config_.group_leader, fmt::format("baton-{}-{}-group", epoch_.hex(), ++connections_),
      lifetime_.guard([this](std::string_view payload) { on_payload(payload); }));
  if (client.ok()) {
    client_ = *std::move(client);
  } else {
    log::limited_warning("no way to the group's leader at {}: {}", config_.group_leader,
                         std::string(client.status().message()));
  }
}

void GroupFollower::tick() {
  tick_timer_ = scheduler_.run_after(config_.lease / kGroupTicksPerLease,
                                     lifetime_.guard([this] { tick(); }));
  if (scheduler_.now() - heard_ > config_.lease) {
    lose_leader(absl::DeadlineExceededError(
        fmt::format("the group's leader at {} was silent (pd_lease_ms)", config_.group_leader)));
    heard_ = scheduler_.now();
    connect();
  }
  join();
  for (auto& [name, undecided] : undecided_) {
    if (undecided.round != 0) {
      say(name, GroupWord::kReserved, undecided.round);
    } else if (!undecided.refused) {
      say(name, GroupWord::kOpened, 0);
    }
  }
}

void GroupFollower::join() {
  wire::GroupJoin join;
  join.epoch = epoch_;
  join.world_size = config_.layout.world_size;
  join.worker_id = config_.layout.worker_id;
  in_batches(table_.living_attempts(), config_.limits.max_named_requests,
             [&](std::vector<AttemptName> batch) {
               join.living = std::move(batch);
               if (client_ != nullptr) {
                 // If it can't be sent now, the next one may.
                 static_cast<void>(client_->send(wire::encode(join)));
               }
             });
}

void GroupFollower::on_payload(std::string_view payload) {
  const auto message = wire::decode(payload, config_.limits);
  if (!message.ok()) {
    log::limited_warning("the group's leader sent nonsense: {}",
                         std::string(message.status().message()));
  } else if (const auto* ack = std::get_if<wire::GroupJoinAck>(&*message)) {
    on_ack(*ack);
  } else if (const auto* notif = std::get_if<wire::GroupNotif>(&*message)) {
    on_notif(*notif);
  }
}

void GroupFollower::on_ack(const wire::GroupJoinAck& ack) {
  if (ack.code != 0) {
    log::limited_warning("the group's leader at {} refuses this rank: {}", config_.group_leader,
                         ack.message);
    return;
  }
  heard_ = scheduler_.now();
  if (leader_ != ack.epoch) {
    if (leader_.has_value()) {
      lose_leader(absl::UnavailableError(std::string("the group's leader has restarted")));
    }
    leader_ = ack.epoch;
    for (const auto& [name, undecided] : undecided_) {
      say(name, GroupWord::kOpened, 0);
    }
  }
  for (const AttemptName& name : ack.living) {
    if (const Status* why = failed_.find(name); why != nullptr) {
      say(name, GroupWord::kEnded, 0, *why);
    }
  }
}

void GroupFollower::lose_leader(const Status& why) {
  if (!leader_.has_value()) {
    return;
  }
  leader_.reset();
  for (auto& [name, undecided] : undecided_) {
    if (Request* request = table_.find_attempt(name); request != nullptr) {
      table_.withdraw(*request);  // If it was reserved; the next leader may admit it.
    }
    undecided = {};
  }
  for (const AttemptName& name : table_.living_attempts()) {
    if (!undecided_.contains(name)) {
      end_here_(name, why);
    }
  }
}

// ---- its words ---------------------------------------------------------------------------------

void GroupFollower::on_opened(Request& request) {
  const AttemptName name = request.id.attempt_name();
  undecided_[name] = {};
  say(name, GroupWord::kOpened, 0);
}

void GroupFollower::on_notif(const wire::GroupNotif& notif) {
  if (notif.parties.receiver_epoch != epoch_ || leader_ != notif.parties.sender_epoch) {
    return;
  }
  heard_ = scheduler_.now();
  if (notif.word == GroupWord::kReserve) {
    reserve(notif);
    return;
  }
  if (notif.word == GroupWord::kEnded) {
    const Status why(static_cast<StatusCode>(notif.code), notif.message);
    if (failed_.remember(notif.attempt, why)) {
      undecided_.erase(notif.attempt);
      end_here_(notif.attempt, why);
    }
    return;
  }
  Request* request = table_.find_attempt(notif.attempt);
  const auto undecided = undecided_.find(notif.attempt);
  if (request == nullptr || undecided == undecided_.end() || undecided->second.round == 0 ||
      undecided->second.round != notif.round) {
    return;  // Of another try, or said again.
  }
  if (notif.word == GroupWord::kAdmitted) {
    undecided_.erase(undecided);
    table_.admit_reserved(*request);
  } else if (notif.word == GroupWord::kWithdraw) {
    undecided->second = {};
    table_.withdraw(*request);
    say(notif.attempt, GroupWord::kOpened, 0);
  }
}

void GroupFollower::reserve(const wire::GroupNotif& notif) {
  const auto undecided = undecided_.find(notif.attempt);
  Request* request = table_.find_attempt(notif.attempt);
  if (request == nullptr || undecided == undecided_.end()) {
    if (const Status* why = failed_.find(notif.attempt); why != nullptr) {
      say(notif.attempt, GroupWord::kEnded, 0, *why);
    }
    return;
  }
  Undecided& here = undecided->second;
  if (here.round != 0 && here.round < notif.round) {
    table_.withdraw(*request);  // The leader has given that try up.
    here.round = 0;
  }
  if (here.round == 0 && table_.reserve(*request)) {
    here.round = notif.round;
  }
  here.refused = here.round != notif.round;
  say(notif.attempt, here.refused ? GroupWord::kRefused : GroupWord::kReserved, notif.round);
}

void GroupFollower::on_room() {
  for (auto& [name, undecided] : undecided_) {
    const Request* request = undecided.refused ? table_.find_attempt(name) : nullptr;
    if (request != nullptr && table_.fits(*request)) {
      undecided.refused = false;
      say(name, GroupWord::kOpened, 0);
    }
  }
}

void GroupFollower::on_ended(const AttemptName& attempt, const Status& why) {
  const AttemptName name = attempt;  // It may be in what is erased here.
  undecided_.erase(name);
  if (failed_.remember(name, why)) {
    say(name, GroupWord::kEnded, 0, why);
  }
}

void GroupFollower::say(const AttemptName& name, GroupWord word, std::uint64_t round,
                        const Status& why) {
  if (client_ != nullptr && leader_.has_value()) {
    // What is lost is said again at the next tick.
    static_cast<void>(
        client_->send(wire::encode(wire::GroupNotif{{epoch_, *leader_},
                                                    name,
                                                    word,
                                                    round,
                                                    static_cast<std::uint32_t>(why.code()),
                                                    wire::status_text(why)})));
  }
}

}  // namespace baton::receiver
