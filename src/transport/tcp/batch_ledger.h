// The batches of one connection that are not done yet. No sockets here.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// A batch has a part on some of the streams. It is done when all of them are acknowledged and no
/// batch before it is left.
class BatchLedger {
 public:
  /// By stream: the sequence number of a batch's part there, 0 where it has none.
  using Sequences = std::vector<std::uint64_t>;

  struct Finished {
    Done done;
    Status status;
  };

  /// A batch without parts is finished with `verdict` when all before it are.
  void add(Sequences parts, Status verdict, Done done);
  bool empty() const { return batches_.empty(); }

  /// Batches that are over, in their order, given the last acknowledged part of each stream.
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
