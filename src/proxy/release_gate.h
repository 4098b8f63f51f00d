// Holds a request back from its decoder until every rank of the prefiller gave its word.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "baton/status.h"
#include "src/base/scheduler.h"
#include "src/control/control.h"
#include "src/wire/messages.h"

namespace baton::proxy {

struct GateOptions {
  std::size_t max_live_requests = 4096;
};

struct GateCounters {
  std::uint64_t counted = 0;   ///< ProxyNotifs that a live request was waiting for
  std::uint64_t repeated = 0;  ///< of a rank of an attempt that had spoken already
  std::uint64_t failures = 0;  ///< FailNotifs that ended a wait
  /// ProxyNotifs for an id that isn't live: late, one too many, or never asked for. Once a request
  /// is over nothing is kept of it, so these can't be told apart.
  std::uint64_t unmatched = 0;
  std::uint64_t unexpected = 0;   ///< well-formed messages of another type
  std::uint64_t undecodable = 0;  ///< anything else
};

/// Counts ProxyNotifs per request id. A Baton prefiller's names its rank and attempt, and counts
/// once; all ranks of one attempt release the request, and a FailNotif ends the wait. A stock
/// prefiller's names nothing, so those are counted as a stock proxy does: as many as there are
/// ranks.
///
/// All on the loop. What arrives is hostile: it is decoded within tight limits, and nothing is ever
/// kept of a message for an id that nobody registered.
class ReleaseGate {
 public:
  /// OK: released. kAborted: a rank says that it failed, and why. kDeadlineExceeded: not every rank
  /// spoke in time. kCancelled: forgotten, or the gate is gone. Exactly once for each expect() that
  /// returned OK, in a turn of its own.
  using Released = absl::AnyInvocable<void(Status)>;

  /// Binds a PULL socket at `endpoint`. Scheduler and network must outlive the gate.
  static StatusOr<std::unique_ptr<ReleaseGate>> bind(Scheduler& scheduler,
                                                     control::Network& network,
                                                     const std::string& endpoint,
                                                     GateOptions options = {});
  ~ReleaseGate();
  ReleaseGate(const ReleaseGate&) = delete;
  ReleaseGate& operator=(const ReleaseGate&) = delete;

  /// Call before the prefiller learns of `req_id`: a word that comes earlier is not kept.
  /// kFailedPrecondition for an id that is live, kResourceExhausted at the limit, kInvalidArgument
  /// for an impossible id, no ranks or no time; `released` is then destroyed uncalled.
  Status expect(const std::string& req_id, std::uint32_t ranks, Duration timeout,
                Released released);
  /// Ends the wait with kCancelled. Nothing happens for an unknown id.
  void forget(const std::string& req_id);

  std::string endpoint() const { return pull_->endpoint(); }
  std::size_t live_requests() const { return waiting_.size(); }
  const GateCounters& counters() const { return counters_; }

 private:
  struct Waiting {
    std::uint32_t ranks = 0;
    std::uint32_t heard = 0;  ///< without a name
    /// Who has spoken, by attempt; at most kMaxAttempts.
    std::map<std::uint64_t, std::set<std::uint32_t>> attempts;
    Duration timeout{};
    TimerId timer = kNoTimer;
    Released released;
  };
  using WaitingMap = std::unordered_map<std::string, Waiting>;

  ReleaseGate(Scheduler& scheduler, GateOptions options);

  Status check(const std::string& req_id, std::uint32_t ranks, Duration timeout) const;
  void on_message(std::string_view bytes);
  void on_notif(const wire::ProxyNotif& notif);
  void on_failure(const wire::FailNotif& notif);
  void on_timeout(const std::string& req_id);
  void end_wait(WaitingMap::iterator waiting, Status status);

  Scheduler& scheduler_;
  const GateOptions options_;
  GateCounters counters_;
  WaitingMap waiting_;
  std::unique_ptr<control::Pull> pull_;  // last: its handler uses all of the above
};

}  // namespace baton::proxy
