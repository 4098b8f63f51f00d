// Receiver's half that speaks with the other ranks of its TP group.
#include <fmt/format.h>

#include <utility>

#include "src/control/endpoint.h"
#include "src/receiver/receiver.h"

namespace baton::receiver {

void Receiver::make_group() {
  if (config_.group_leader.empty() || config_.layout.world_size == 1) {
    return;
  }
  const auto end_here = [this](const wire::AttemptName& name, const Status& why) {
    if (const Request* request = table_.find_attempt(name); request != nullptr) {
      end_and_tell(RequestId(request->id), why);
    }
  };
  if (config_.layout.worker_id == 0) {
    leader_ = std::make_unique<GroupLeader>(
        env_.scheduler, table_, config_, env_.epoch,
        [this](const control::Route& to, const wire::Message& message) { answer(to, message); },
        end_here);
    table_.set_group(leader_.get());
  } else {
    follower_ = std::make_unique<GroupFollower>(env_.scheduler, env_.network, table_, config_,
                                                env_.epoch, end_here);
    table_.set_group(follower_.get());
  }
}

void Receiver::handle(const control::Route& from, const wire::GroupJoin& message) {
  if (!control::is_of_epoch(from, message.epoch.hex())) {
    strike(from, "alloc port",
           absl::PermissionDeniedError(
               fmt::format("a GroupJoin of {}, which its socket is not", message.epoch.brief())));
    return;
  }
  if (leader_ == nullptr) {
    reject(from, "alloc port",
           absl::FailedPreconditionError(std::string("a GroupJoin, but this leads no group")));
    return;
  }
  leader_->handle(from, message);
}

void Receiver::handle(const control::Route& from, const wire::GroupNotif& message) {
  const Status fine = leader_ == nullptr
                          ? absl::PermissionDeniedError(std::string("this is no group's leader"))
                          : leader_->handle(from, message);
  if (!fine.ok()) {
    // No strike: to a leader that has restarted its honest followers still speak of its former
    // self.
    reject(from, "alloc port", fine);
  }
}

}  // namespace baton::receiver
