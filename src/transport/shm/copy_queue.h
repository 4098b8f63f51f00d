// Who copies when: bounded slices, in rotation between peers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "baton/status.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/transport/shm/copy_lanes.h"
#include "src/transport/transport.h"

namespace baton::transport::shm {

struct CopyHelpers {
  std::uint32_t count = 0;
  std::uint32_t for_digests = 0;  ///< of these: how many take part in batches with digests
};

/// Copies batches on the loop, a bounded number of bytes a turn, so that timers and sockets keep
/// their time. Batches of one peer complete in order; peers take turns, so that a large batch to
/// one delays a small one to another by one quantum only.
///
/// Large batches (CopyLanes::kHelpBytes) are copied by helpers too, if it may have any: threads
/// that are started for the first of them, and sleep while there is none. They copy, and nothing
/// else: `done` comes on the loop.
///
/// Whoever copies publishes its stores before anybody hears of it, and drop() waits for the quantum
/// that a helper may be copying. So drop() ends all access at once.
class CopyQueue {
 public:
  /// About 0.1 to 0.2 ms of copying. A piece whose digest is wanted may exceed it by
  /// DigestingCopy::kMaxExcessBytes.
  static constexpr std::size_t kTurnBytes = 1U << 20U;
  static constexpr std::size_t kQuantumBytes = kTurnBytes / 4;

  /// With helpers `scheduler` is one to which any thread may post.
  explicit CopyQueue(Scheduler& scheduler, const CopyHelpers& helpers = {})
      : scheduler_(scheduler), max_helpers_(helpers.count), lanes_(helpers.for_digests) {}
  /// Waits for the helpers.
  ~CopyQueue();
  CopyQueue(const CopyQueue&) = delete;
  CopyQueue& operator=(const CopyQueue&) = delete;

  /// `done` gets `outcome` after all pieces are copied and published, and their digests set. (A
  /// batch that was refused comes without pieces, to keep its place in the order.)
  void submit(const PeerId& peer, std::vector<CopyPiece> pieces, Status outcome, Done done);

  /// Fails what is pending for `peer`. Its ranges and digests are not touched any more.
  void drop(const PeerId& peer, const Status& why);

  /// Copied by helpers so far. From any thread.
  std::uint64_t helped_bytes() const { return lanes_.helped_bytes(); }

 private:
  void start_helpers();
  void help(CopyLanes::Taker helper);
  void schedule_turn();  // on any of the threads
  void run_turn();
  void post_finished();

  Scheduler& scheduler_;
  std::uint32_t max_helpers_;  // 0 once it is known that there are no more threads
  CopyLanes lanes_;
  std::atomic<bool> turn_scheduled_ = false;
  Lifetime lifetime_;  // Helpers make guards of it, too: it outlasts them.
  std::vector<std::thread> helpers_;
};

}  // namespace baton::transport::shm
