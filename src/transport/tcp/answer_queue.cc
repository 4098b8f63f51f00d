#include "src/transport/tcp/answer_queue.h"

#include <fmt/format.h>

#include <algorithm>

namespace baton::transport::tcp {

Status AnswerQueue::push(const ReadHeader& read) {
  if (read.number != last_read_ + 1) {
    return absl::DataLossError(fmt::format("read {} after read {}", read.number, last_read_));
  }
  if (reads_.size() >= kMaxReads) {
    return absl::DataLossError(fmt::format("read {} while {} others wait; at most {} may",
                                           read.number, reads_.size(), kMaxReads));
  }
  last_read_ = read.number;
  reads_.push_back(read);
  return absl::OkStatus();
}

void AnswerQueue::begin_word(const Word& word) {
  word_ = encode_word(word);
  word_left_bytes_ = word_.size();
}

Status AnswerQueue::begin_next(Check check) {
  if (owes_acknowledgement()) {
    last_acknowledged_ = last_placed_;
    begin_word(Acknowledgement{last_acknowledged_});
  } else if (has_reads()) {
    if (Status allowed = check(reads_.front()); !allowed.ok()) {
      return allowed;
    }
    rest_ = reads_.front();
    begin_word(ReadData{.number = rest_.number, .length_bytes = rest_.length_bytes});
  }
  return absl::OkStatus();
}

StatusOr<std::span<iovec>> AnswerQueue::gather(std::size_t max_bytes,
                                               const RegisteredBuffer& buffer, Check check) {
  if (word_left_bytes_ == 0 && rest_.length_bytes == 0) {
    if (Status status = begin_next(check); !status.ok()) {
      return status;
    }
  }
  std::size_t count = 0;
  const std::size_t of_word = std::min(word_left_bytes_, max_bytes);
  if (of_word > 0) {
    pieces_.at(count++) = {word_.data() + (word_.size() - word_left_bytes_), of_word};
  }
  ReadHeader piece = rest_;
  piece.length_bytes =
      static_cast<std::uint32_t>(std::min<std::size_t>(rest_.length_bytes, max_bytes - of_word));
  if (piece.length_bytes > 0) {
    // The chunk may have gone since the last piece. The guard runs on this loop, so none goes
    // while the kernel takes this one.
    if (Status allowed = check(piece); !allowed.ok()) {
      return allowed;
    }
    pieces_.at(count++) = {buffer.page(piece.page).subspan(piece.offset_bytes).data(),
                           piece.length_bytes};
  }
  return std::span(pieces_).first(count);
}

void AnswerQueue::advance(std::size_t sent_bytes) {
  const std::size_t of_word = std::min(word_left_bytes_, sent_bytes);
  word_left_bytes_ -= of_word;
  const auto of_payload = static_cast<std::uint32_t>(sent_bytes - of_word);
  if (of_payload > 0) {
    rest_.offset_bytes += of_payload;
    rest_.length_bytes -= of_payload;
    if (rest_.length_bytes == 0) {
      reads_.pop_front();
    }
  }
}

}  // namespace baton::transport::tcp
