// Who copies when: bounded slices, in rotation between peers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "baton/status.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/transport/shm/digesting_copy.h"
#include "src/transport/transport.h"

namespace baton::transport::shm {

/// A write: into a peer's page. A read: out of one.
struct CopyPiece {
  std::byte* to = nullptr;
  const std::byte* from = nullptr;
  std::size_t bytes = 0;
  std::uint64_t* digest = nullptr;  ///< if wanted; set when the piece is copied
};

/// Copies batches on the loop, a bounded number of bytes a turn, so that timers and sockets keep
/// their time. Batches of one peer complete in order; peers take turns, so that a large batch to
/// one delays a small one to another by one quantum only.
///
/// Between turns no store is under way: all are published. So drop() ends all access at once.
class CopyQueue {
 public:
  /// About 0.1 to 0.2 ms of copying. A piece whose digest is wanted may exceed it by
  /// DigestingCopy::kMaxExcessBytes.
  static constexpr std::size_t kTurnBytes = 1U << 20U;
  static constexpr std::size_t kQuantumBytes = kTurnBytes / 4;

  explicit CopyQueue(Scheduler& scheduler) : scheduler_(scheduler) {}

  /// `done` gets `outcome` after all pieces are copied and published, and their digests set. (A
  /// batch that was refused comes without pieces, to keep its place in the order.)
  void submit(const PeerId& peer, std::vector<CopyPiece> pieces, Status outcome, Done done);

  /// Fails what is pending for `peer`. Its ranges and digests are not touched any more.
  void drop(const PeerId& peer, const Status& why);

 private:
  struct Batch {
    std::vector<CopyPiece> pieces;
    std::size_t next_piece = 0;
    std::optional<DigestingCopy> digesting{};  // the next piece, begun, if its digest is wanted
    Status outcome;
    Done done;
  };
  using Lane = std::deque<Batch>;

  void schedule_turn();
  void run_turn();
  static std::size_t copy_quantum(Batch& batch, std::size_t budget_bytes);
  /// Some of the next piece: how many bytes.
  static std::size_t copy_slice(Batch& batch, std::size_t budget_bytes);

  Scheduler& scheduler_;
  std::map<PeerId, Lane> lanes_;  // no lane is empty
  std::deque<PeerId> rotation_;   // each peer of lanes_ once
  bool turn_scheduled_ = false;
  Lifetime lifetime_;
};

}  // namespace baton::transport::shm
