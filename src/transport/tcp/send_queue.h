// The batches of one connection, on their way out and waiting to be acknowledged. No sockets here.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "src/transport/tcp/frames.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// A batch of n writes is n write frames and one end-of-batch frame. The queue is that stream of
/// frames with a cursor in it: gather() shows the bytes at the cursor, advance() moves it.
class SendQueue {
 public:
  struct Finished {
    Done done;
    Status status;
  };

  /// A batch without ops, or with a `verdict` that is not OK, sends nothing; it is finished with
  /// the verdict when all batches before it are.
  void push(std::vector<WriteOp> ops, Status verdict, Done done);

  bool has_unsent() const;
  bool empty() const { return batches_.empty(); }

  /// The next bytes to send, at most `max_bytes`; empty if there are none. Valid until the next
  /// call of any method.
  std::span<iovec> gather(std::size_t max_bytes);
  void advance(std::size_t sent_bytes);

  /// kDataLoss if that batch was acknowledged before, or has not been sent.
  Status acknowledge(std::uint64_t sequence);

  /// Batches that are over since the last call, in their order.
  std::vector<Finished> take_finished();
  /// All that is left, with `why`.
  std::vector<Finished> abandon(const Status& why);

 private:
  struct Batch {
    std::vector<WriteOp> ops;
    Status verdict;
    Done done;
    std::uint64_t sequence = 0;  // 0: sends nothing
  };
  struct Cursor {
    std::size_t batch = 0;  // index in batches_
    std::size_t frame = 0;  // ops.size(): the end of the batch
    std::size_t byte = 0;   // in the frame, header included
  };

  void skip_silent(Cursor& cursor) const;
  FrameBytes header_at(const Cursor& cursor) const;
  std::size_t frame_bytes(const Cursor& cursor) const;
  void next_frame(Cursor& cursor) const;

  static constexpr std::size_t kMaxFrames = 32;  // in one gather()

  std::deque<Batch> batches_;
  Cursor cursor_;
  std::uint64_t last_pushed_ = 0;
  std::uint64_t last_sent_ = 0;
  std::uint64_t last_acknowledged_ = 0;
  std::array<FrameBytes, kMaxFrames> headers_{};
  std::array<iovec, 2 * kMaxFrames> pieces_{};
};

}  // namespace baton::transport::tcp
