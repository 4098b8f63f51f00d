// What one stream has to read, and where the bytes go that arrive. No sockets here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "baton/status.h"
#include "src/transport/tcp/frames.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// Reads are asked for and answered in the order of their numbers, at most kMaxReads at a time.
class ReadQueue {
 public:
  /// `ops` is not empty; none of them is, nor longer than kMaxReadBytes. The number whose
  /// completion completes them.
  std::uint64_t push(const std::vector<ReadOp>& ops);

  /// The next to ask for; none while too many are unanswered.
  std::optional<ReadHeader> next_request();

  bool empty() const { return ops_.empty(); }
  /// Counted from 1, in more bits than on the wire.
  std::uint64_t last_completed() const { return last_completed_; }
  std::uint64_t unread_bytes() const { return unread_bytes_; }

  /// kDataLoss unless this answers the next read that was asked for. Not while another arrives.
  Status begin_answer(const ReadData& answer);
  /// Where the next bytes of the answer go that is arriving; empty if none is.
  std::span<std::byte> room() const;
  void advance(std::size_t received_bytes);

 private:
  std::deque<ReadOp> ops_;  // asked_ that are not answered, then the others
  std::size_t asked_ = 0;
  bool answering_ = false;  // the first, whose range is what it has left
  std::uint64_t last_completed_ = 0;
  std::uint64_t unread_bytes_ = 0;
};

}  // namespace baton::transport::tcp
