// Rank 0 of a TP group: admits for all ranks.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/control/control.h"
#include "src/receiver/config.h"
#include "src/receiver/group.h"
#include "src/receiver/request_table.h"

namespace baton::receiver {

/// On the loop.
class GroupLeader final : public Group {
 public:
  using Send = absl::AnyInvocable<void(const control::Route& to, const wire::Message& message)>;

  GroupLeader(Scheduler& scheduler, RequestTable& table, const Config& config, const Epoch& epoch,
              Send send, EndHere end_here);
  ~GroupLeader() override;

  void handle(const control::Route& from, const wire::GroupJoin& join);
  /// kPermissionDenied if it comes from nobody who has joined.
  Status handle(const control::Route& from, const wire::GroupNotif& notif);

  // Group
  void on_opened(Request& request) override;
  void on_reserved(Request& request) override;
  void on_ended(const wire::AttemptName& attempt, const Status& why) override;
  void on_room() override {}
  const Status* failure(const wire::AttemptName& attempt) const override {
    return failed_.find(attempt);
  }

 private:
  struct Follower {
    Epoch epoch;
    control::Route route;
    TimePoint heard{};
    bool present = false;
    std::deque<Epoch> former;  // that were replaced; what they still say is old
  };
  /// What the followers have said of an attempt that is not decided.
  struct Attempt {
    enum class Rank : std::uint8_t { kAbsent, kOpened, kRefused, kReserved };
    std::vector<Rank> ranks;  // by worker id; the leader's own is not used
    std::uint64_t round = 0;  // of the try under way; 0: none
    bool admitted = false;
    TimePoint since{};
  };

  Attempt& attempt_of(const wire::AttemptName& name);
  void update(const wire::AttemptName& name, Attempt& attempt);
  /// Every rank gives its reservation back, and the attempt waits again.
  void give_up_try(const wire::AttemptName& name, Attempt& attempt);
  void admit_if_all(const wire::AttemptName& name, Attempt& attempt);
  void fail(const wire::AttemptName& name, const Status& why);
  void lose(Follower& follower, const Status& why);
  void say(std::uint32_t rank, const wire::AttemptName& name, wire::GroupWord word,
           std::uint64_t round, const Status& why = absl::OkStatus());
  void say_to_all(const wire::AttemptName& name, wire::GroupWord word, std::uint64_t round,
                  const Status& why = absl::OkStatus());
  void tick();

  Scheduler& scheduler_;
  RequestTable& table_;
  const Config& config_;
  const Epoch epoch_;
  Send send_;
  EndHere end_here_;
  std::vector<Follower> followers_;  // by worker id; [0] is not used
  std::map<wire::AttemptName, Attempt> attempts_;
  FailedAttempts failed_;
  std::uint64_t last_round_ = 0;
  TimerId tick_timer_ = kNoTimer;
  Lifetime lifetime_;
};

}  // namespace baton::receiver
