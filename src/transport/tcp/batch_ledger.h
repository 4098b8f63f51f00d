// The batches of one connection that are not done yet. No sockets here.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// A batch has a part in some queues: those for the writes of each stream, and those for the reads
/// of each. It is done when all of them are complete and no batch before it is left.
class BatchLedger {
 public:
  /// By queue: the sequence number of a batch's part there, 0 where it has none.
  using Sequences = std::vector<std::uint64_t>;

  struct Finished {
    Done done;
    Status status;
  };

  /// A batch without parts is finished with `verdict` when all before it are.
  void add(Sequences parts, Status verdict, Done done);
  bool empty() const { return batches_.empty(); }

  /// Batches that are over, in their order, given the last complete part of each queue.
  std::vector<Finished> take_finished(const Sequences& acknowledged);
  /// All that is left, with `why`; a batch that was refused when it came keeps its own reason.
  std::vector<Finished> abandon(const Status& why);

 private:
  struct Batch {
    Sequences parts;
    Status verdict;
    Done done;
  };

  std::deque<Batch> batches_;
};

}  // namespace baton::transport::tcp
