// What one stream has to send, and what it has sent without an acknowledgement. No sockets here.
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

/// This stream's part of a batch, n writes, is n write frames and one end-of-batch frame. The queue
/// is that stream of frames with a cursor in it: gather() shows the bytes at the cursor, advance()
/// moves it.
class SendQueue {
 public:
  /// `ops` is not empty, nor is any of them. The sequence number whose acknowledgement completes
  /// it.
  std::uint64_t push(std::vector<WriteOp> ops);
  /// A frame without a payload, ahead of all parts that are not begun, at the end of the frame
  /// that is. Needs no acknowledgement. The caller bounds how many wait.
  void push_urgent(const FrameBytes& frame);

  bool has_unsent() const;
  /// Nothing unsent or unacknowledged.
  bool empty() const { return parts_.empty() && urgent_.empty(); }
  std::uint64_t last_acknowledged() const { return last_acknowledged_; }
  /// Payload.
  std::uint64_t unacknowledged_bytes() const { return unacknowledged_bytes_; }

  /// The next bytes to send, at most `max_bytes`; empty if there are none. Valid until the next
  /// call of any method.
  std::span<iovec> gather(std::size_t max_bytes);
  void advance(std::size_t sent_bytes);

  /// kDataLoss if that part was acknowledged before, or has not been sent.
  Status acknowledge(std::uint64_t sequence);

 private:
  struct Part {
    std::vector<WriteOp> ops;
    std::uint64_t sequence = 0;
    std::uint64_t payload_bytes = 0;
  };
  struct Cursor {
    std::size_t part = 0;   // index in parts_
    std::size_t frame = 0;  // ops.size(): the end of the batch
    std::size_t byte = 0;   // in the frame, header included
  };

  FrameBytes header_at(const Cursor& cursor) const;
  std::size_t frame_bytes(const Cursor& cursor) const;
  void next_frame(Cursor& cursor) const;

  static constexpr std::size_t kMaxFrames = 32;  // in one gather()

  std::deque<Part> parts_;
  Cursor cursor_;
  std::vector<std::byte> urgent_;  // unsent; begins inside a frame only if the cursor doesn't
  std::uint64_t unacknowledged_bytes_ = 0;
  std::uint64_t last_pushed_ = 0;
  std::uint64_t last_sent_ = 0;
  std::uint64_t last_acknowledged_ = 0;
  std::array<FrameBytes, kMaxFrames> headers_{};
  std::array<iovec, 2 * kMaxFrames + 1> pieces_{};
};

}  // namespace baton::transport::tcp
