// What the receiver's end of one stream has to say: words, and the pages that are read. No sockets
// here.
#pragma once

#include <absl/functional/function_ref.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>

#include "baton/status.h"
#include "src/memory/registered_buffer.h"
#include "src/transport/tcp/frames.h"

namespace baton::transport::tcp {

/// A stream of words, some of them followed by bytes of a page: gather() shows what is next,
/// advance() moves on. Between two answers an acknowledgement that is due goes first.
class AnswerQueue {
 public:
  /// Is this (rest of a) read inside its page, and allowed now? The status is passed on.
  using Check = absl::FunctionRef<Status(const ReadHeader& read)>;

  /// kDataLoss if it is out of sequence, or one more than may wait.
  Status push(const ReadHeader& read);
  /// Of all batches up to this one. Cumulative: an acknowledgement not sent yet becomes this one.
  void acknowledge(std::uint64_t sequence) { last_placed_ = sequence; }
  /// Only while nothing is unsent.
  void push_heartbeat() { begin_word(Heartbeat{}); }

  bool has_unsent() const { return word_left_bytes_ > 0 || owes_acknowledgement() || has_reads(); }
  /// Not answered, or not wholly.
  std::size_t waiting_reads() const { return reads_.size(); }
  bool has_reads() const { return !reads_.empty(); }

  /// The next bytes, at most `max_bytes`; empty if there are none. Asks `check` before it begins an
  /// answer, and about each piece of it that it shows. Valid until the next call of any method.
  StatusOr<std::span<iovec>> gather(std::size_t max_bytes, const RegisteredBuffer& buffer,
                                    Check check);
  void advance(std::size_t sent_bytes);

 private:
  bool owes_acknowledgement() const { return last_acknowledged_ < last_placed_; }
  void begin_word(const Word& word);
  Status begin_next(Check check);

  std::deque<ReadHeader> reads_;
  /// Of the first of reads_, while it is being answered: what its payload has left.
  ReadHeader rest_;
  std::uint32_t last_read_ = 0;
  std::uint64_t last_placed_ = 0;
  std::uint64_t last_acknowledged_ = 0;
  WordBytes word_{};
  std::size_t word_left_bytes_ = 0;  // at the end of word_
  std::array<iovec, 2> pieces_{};
};

}  // namespace baton::transport::tcp
