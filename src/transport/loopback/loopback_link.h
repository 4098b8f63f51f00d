// One connection of the loopback transport: the batches on their way, landing piece by piece.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <variant>
#include <vector>

#include "src/base/digest.h"
#include "src/transport/loopback/loopback_hub.h"
#include "src/transport/transport.h"

namespace baton::transport {

/// Posts callbacks on behalf of one process, until that process dies.
class LoopbackCallbacks {
 public:
  explicit LoopbackCallbacks(Scheduler& scheduler) : scheduler_(scheduler) {}
  void post(Task task);
  void run_after(Duration delay, Task task);
  /// Nothing runs any more, not even what was posted before.
  void silence() { *silenced_ = true; }

 private:
  Scheduler& scheduler_;
  std::shared_ptr<bool> silenced_ = std::make_shared<bool>(false);
};

using LoopbackOp = std::variant<WriteOp, ReadOp>;

/// States: moving (batches queued, one turn under way) ⇄ idle (queue empty) → severed → ended.
/// Owned by the writer's transport; the receiver's end is an entry in its own table.
class LoopbackLink : public std::enable_shared_from_this<LoopbackLink> {
 public:
  LoopbackLink(LoopbackHub& hub, const PeerId& writer, const PeerId& receiver,
               LoopbackCallbacks& callbacks)
      : hub_(hub), writer_(writer), receiver_(receiver), callbacks_(callbacks) {}

  /// A `verdict` other than OK is what `done` gets in its turn; no byte is moved then.
  void enqueue(std::vector<LoopbackOp> ops, Status verdict, Done done);

  /// No byte lands afterwards, but for stragglers among writes; what is pending stays pending until
  /// end().
  void sever();
  /// The same, but reads in front go on: an adapter serves them until its queue pair is destroyed.
  void sever_writes();
  /// sever(), and what is pending fails with `why`. Nothing may be enqueued then.
  void end(const Status& why);

 private:
  struct Batch {
    std::vector<LoopbackOp> ops;
    Status verdict;
    Done done;
  };

  bool is_reading() const;
  void schedule_turn();
  void take_turn();
  void finish_batch();
  /// Lands the next piece of the batch in front. False if it ended the link.
  bool land_piece();
  /// The same, of this op.
  template <typename Op>
  bool move_piece(const Op& op);
  /// Takes the next piece of that op into its digest, if one is wanted.
  void digest_piece(const WriteOp& op, std::size_t bytes);
  void digest_piece(const ReadOp& /*op*/, std::size_t /*bytes*/) {}

  LoopbackHub& hub_;
  const PeerId writer_;
  const PeerId receiver_;
  LoopbackCallbacks& callbacks_;
  std::deque<Batch> batches_;
  std::size_t op_index_ = 0;      // in the batch in front
  std::size_t landed_bytes_ = 0;  // of that op
  DigestStream digest_;           // of those bytes, if it is wanted
  bool turn_scheduled_ = false;
  bool severed_ = false;
  bool writes_severed_ = false;
};

}  // namespace baton::transport
