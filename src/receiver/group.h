// The receivers of one TP group, as one of them sees the others. docs/protocol.md, "TP groups", has
// every transition.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <deque>
#include <map>

#include "baton/status.h"
#include "src/base/batches.h"
#include "src/receiver/request.h"
#include "src/wire/messages.h"

namespace baton::receiver {

/// What a RequestTable tells of requests that other ranks share. All methods on the loop.
class Group {
 public:
  virtual ~Group() = default;
  /// It waits here, for all ranks.
  virtual void on_opened(Request& request) = 0;
  /// Leader: it is its turn, and this rank's pages are reserved.
  virtual void on_reserved(Request& request) = 0;
  /// It failed here, or was given up.
  virtual void on_ended(const wire::AttemptName& attempt, const Status& why) = 0;
  /// Pages may have come back.
  virtual void on_room() = 0;
  /// Why the attempt failed at some rank; nullptr if nothing is known.
  virtual const Status* failure(const wire::AttemptName& attempt) const = 0;
};

/// The last attempts that failed, for words that come late. Bounded.
class FailedAttempts {
 public:
  static constexpr std::size_t kRemembered = 1'024;

  const Status* find(const wire::AttemptName& attempt) const {
    const auto found = failures_.find(attempt);
    return found == failures_.end() ? nullptr : &found->second;
  }
  /// False if it is known already.
  bool remember(const wire::AttemptName& attempt, const Status& why) {
    if (!failures_.emplace(attempt, why).second) {
      return false;
    }
    order_.push_back(attempt);
    if (order_.size() > kRemembered) {
      failures_.erase(order_.front());
      order_.pop_front();
    }
    return true;
  }

 private:
  std::map<wire::AttemptName, Status> failures_;
  std::deque<wire::AttemptName> order_;
};

/// Ends an attempt at this rank: its sender is told. Nothing happens if none lives.
using EndHere = absl::AnyInvocable<void(const wire::AttemptName& attempt, const Status& why)>;

/// Signs of life and repeated words in a lease.
inline constexpr std::int64_t kGroupTicksPerLease = 4;

}  // namespace baton::receiver
