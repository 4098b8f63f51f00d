// A rank above 0 of a TP group: waits for the leader's word.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>

#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/control/control.h"
#include "src/receiver/config.h"
#include "src/receiver/group.h"
#include "src/receiver/request_table.h"

namespace baton::receiver {

/// On the loop.
class GroupFollower final : public Group {
 public:
  GroupFollower(Scheduler& scheduler, control::Network& network, RequestTable& table,
                const Config& config, const Epoch& epoch, EndHere end_here);
  ~GroupFollower() override;

  // Group
  void on_opened(Request& request) override;
  void on_reserved(Request& /*request*/) override {}
  void on_ended(const wire::AttemptName& attempt, const Status& why) override;
  void on_room() override;
  const Status* failure(const wire::AttemptName& attempt) const override {
    return failed_.find(attempt);
  }

 private:
  void connect();
  void on_payload(std::string_view payload);
  void on_ack(const wire::GroupJoinAck& ack);
  void on_notif(const wire::GroupNotif& notif);
  void reserve(const wire::GroupNotif& notif);
  void lose_leader(const Status& why);
  void join();
  void tick();
  void say(const wire::AttemptName& name, wire::GroupWord word, std::uint64_t round,
           const Status& why = absl::OkStatus());

  Scheduler& scheduler_;
  control::Network& network_;
  RequestTable& table_;
  const Config& config_;
  const Epoch epoch_;
  EndHere end_here_;
  std::unique_ptr<control::Client> client_;
  std::uint32_t connections_ = 0;
  std::optional<Epoch> leader_;  // none: not heard of, or lost
  TimePoint heard_{};
  struct Undecided {
    std::uint64_t round = 0;  // in which it is reserved; 0: it waits
    bool refused = false;     // since it last said that it is open
  };
  std::map<wire::AttemptName, Undecided> undecided_;
  FailedAttempts failed_;
  TimerId tick_timer_ = kNoTimer;
  Lifetime lifetime_;
};

}  // namespace baton::receiver
