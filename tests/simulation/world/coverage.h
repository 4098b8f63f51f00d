// How often each fault and each transition was exercised. One that never was is a hole.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace baton::simulation {

/// In the order of kPointNames.
enum class Point : std::uint8_t {
  // Faults.
  kCrashSender,
  kCrashReceiver,
  kCrashProxy,
  kRestart,
  kCut,
  kPartition,
  kPartitionOneWay,
  kPause,
  kCancelByUser,
  kCancelAtDecoder,
  kAbandon,
  kMessageLost,
  kMessageDelayed,
  kMessageDuplicated,
  kMessageReordered,
  kNoticeLost,
  kWriteDropped,
  kReadDropped,
  kStraggler,
  kStragglerLanded,
  kLandedUnguarded,
  kReadLingered,
  // Receiver: requests.
  kOpenedAtOnce,
  kOpenedAfterWaiting,
  kOpenRefused,
  kOpenTimedOut,
  kOpenedByPut,
  kPutRefused,
  kCancelled,
  kReleased,
  kEndedByReceiver,
  kUnknownToReceiver,
  kFenced,
  kClaimed,
  kClaimFailed,
  // Receiver: pages.
  kGranted,
  kHit,
  kInFlight,
  kPlaced,
  kTakeOver,
  kAwaitedCommitted,
  kCommitted,
  kCommitRefused,
  kQuarantined,
  kUnquarantined,
  kRetained,
  kRevived,
  kEvicted,
  kPinned,
  kRemoved,
  kGot,
  kReadHeld,
  kReadReleased,
  kReadRefused,
  kReadFenced,
  // Pages ahead.
  kAheadGranted,
  kAheadPlaced,
  kAheadUnused,
  kAheadRecalled,
  kAheadReturned,
  kAheadGivenUp,
  kAheadQuarantined,
  kParkedAdmitted,
  // Receivers of a TP group.
  kGroupOpened,
  kGroupReserve,
  kGroupReserved,
  kGroupRefused,
  kGroupWithdrawn,
  kGroupAdmitted,
  kGroupEnded,
  // Sender.
  kHandshake,
  kHandshakeRetried,
  kPutSucceeded,
  kPutFailed,
  kDrained,
  kDrainAcknowledged,
  kHeartbeat,
  kPutRestarted,
  kReadKey,
  kReadMissed,
  kReadDamaged,
  kReadFailed,
  kNotified,
  kFailureTold,
  kReleasedByProxy,
  kProxyHeardOfFailure,
  kProxyTimedOut,
  kCount
};

inline constexpr std::size_t kPointCount = static_cast<std::size_t>(Point::kCount);
inline constexpr std::array<std::string_view, kPointCount> kPointNames = {
    "fault: sender crashed",
    "fault: receiver crashed",
    "fault: proxy crashed",
    "fault: process restarted",
    "fault: data connection cut",
    "fault: partition, both ways",
    "fault: partition, one way",
    "fault: process paused",
    "fault: request cancelled by its user",
    "fault: request cancelled at its decoder",
    "fault: request given back by its prefiller",
    "fault: message lost",
    "fault: message delayed",
    "fault: message duplicated",
    "fault: message overtook others",
    "fault: ProxyNotif lost",
    "fault: write reported, not landed",
    "fault: read reported, nothing came",
    "fault: write left under way by a connection that ended",
    "fault: write landed after its connection had ended",
    "fault: write landed with nobody checking its grant",
    "fault: read went on after its connection was lost at the receiver",
    "request at receiver: - -> open, at once",
    "request at receiver: waiting -> open",
    "request at receiver: refused",
    "request at receiver: waiting -> ended, its time was over",
    "request at receiver: - -> open, by its first put",
    "request at receiver: put refused",
    "request at receiver: -> ended, cancelled by its sender",
    "request at receiver: open -> ended, released by its sender",
    "request at receiver: -> ended, by the receiver, which says so",
    "request at receiver: named in a heartbeat, does not live there",
    "sender at receiver: -> fencing",
    "request at receiver: complete -> ended, claimed",
    "request at receiver: claim failed",
    "page: free -> granted",
    "put at receiver: key was committed already",
    "put at receiver: key was in flight",
    "put at receiver: key's eager bytes were placed",
    "put at receiver: in flight -> granted, taken over",
    "put at receiver: in flight -> committed",
    "page: granted -> committed",
    "page: commit refused",
    "page: granted -> quarantined",
    "page: quarantined -> free",
    "page: held -> retained",
    "page: retained -> held",
    "page: retained -> free",
    "page: pinned",
    "page: removed",
    "page: got",
    "read at receiver: - -> held",
    "read at receiver: held -> ended, released",
    "read at receiver: refused",
    "read at receiver: held -> fencing",
    "page: free -> ahead",
    "page: ahead -> committed, placed for its put",
    "page: stays ahead, its put's key was there",
    "page: ahead, wanted back",
    "page: ahead -> free, as it was wanted back",
    "page: ahead -> free, its put has failed",
    "page: ahead -> quarantined, with its sender",
    "put at receiver: waited for pages ahead, and got some",
    "group: a follower has opened a request",
    "group: leader waiting -> reserved",
    "group: follower waiting -> reserved",
    "group: a follower refused",
    "group: reserved -> waiting, withdrawn",
    "group: reserved -> open, admitted",
    "group: -> ended, said to other ranks",
    "link at sender: -> handshaking",
    "link at sender: hello repeated while fenced",
    "put at sender: -> done",
    "put at sender: -> failed",
    "put at sender: uncommitted pages drained",
    "put at sender: drain acknowledged",
    "link at sender: heartbeat answered",
    "put at sender: -> restarting, for the receiver's next incarnation",
    "read at reader: chunk read",
    "read at reader: chunk missed",
    "read at reader: chunk damaged",
    "read at reader: chunk not read, the read failed",
    "request at sender: proxy told",
    "request at sender: proxy told of its failure",
    "request at proxy: released",
    "request at proxy: a rank said that it has failed",
    "request at proxy: gave up waiting",
};
static_assert(!kPointNames.back().empty());

class Coverage {
 public:
  void hit(Point point, std::uint64_t times = 1) {
    counts_[static_cast<std::size_t>(point)] += times;
  }
  std::uint64_t count(std::size_t point) const { return counts_[point]; }
  void add(const Coverage& other) {
    for (std::size_t i = 0; i < kPointCount; ++i) {
      counts_[i] += other.counts_[i];
    }
  }

 private:
  std::array<std::uint64_t, kPointCount> counts_{};
};

}  // namespace baton::simulation
