#include "src/transport/tcp/send_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace baton::transport::tcp {
namespace {

// iovec is not const-correct; sendmsg only reads.
iovec piece_of(const std::byte* data, std::size_t bytes) {
  return {const_cast<std::byte*>(data), bytes};
}

}  // namespace

void SendQueue::push(std::vector<WriteOp> ops, Status verdict, Done done) {
  const bool silent = !verdict.ok() || ops.empty();
  batches_.push_back(
      {std::move(ops), std::move(verdict), std::move(done), silent ? 0 : ++last_pushed_});
}

bool SendQueue::has_unsent() const {
  return last_sent_ < last_pushed_;
}

void SendQueue::skip_silent(Cursor& cursor) const {
  while (cursor.batch < batches_.size() && batches_[cursor.batch].sequence == 0) {
    ++cursor.batch;
  }
}

FrameBytes SendQueue::header_at(const Cursor& cursor) const {
  const Batch& batch = batches_[cursor.batch];
  if (cursor.frame == batch.ops.size()) {
    return encode(EndOfBatch{batch.sequence});
  }
  const WriteOp& op = batch.ops[cursor.frame];
  return encode(WriteHeader{.page = op.page,
                            .generation = op.generation,
                            .offset_bytes = op.offset_bytes,
                            .length_bytes = op.local.size()});
}

std::size_t SendQueue::frame_bytes(const Cursor& cursor) const {
  const Batch& batch = batches_[cursor.batch];
  const bool at_end = cursor.frame == batch.ops.size();
  return sizeof(FrameBytes) + (at_end ? 0 : batch.ops[cursor.frame].local.size());
}

void SendQueue::next_frame(Cursor& cursor) const {
  cursor.byte = 0;
  if (cursor.frame < batches_[cursor.batch].ops.size()) {
    ++cursor.frame;
  } else {
    cursor.frame = 0;
    ++cursor.batch;
  }
}

std::span<iovec> SendQueue::gather(std::size_t max_bytes) {
  std::size_t count = 0;
  Cursor at = cursor_;
  for (std::size_t frame = 0; frame < kMaxFrames && max_bytes > 0; ++frame) {
    skip_silent(at);
    if (at.batch == batches_.size()) {
      break;
    }
    if (at.byte < sizeof(FrameBytes)) {
      FrameBytes& header = headers_.at(frame);
      header = header_at(at);
      const std::size_t bytes = std::min(sizeof(FrameBytes) - at.byte, max_bytes);
      pieces_.at(count++) = piece_of(header.data() + at.byte, bytes);
      at.byte += bytes;
      max_bytes -= bytes;
    }
    const std::size_t bytes = std::min(frame_bytes(at) - at.byte, max_bytes);
    if (bytes > 0) {
      const WriteOp& op = batches_[at.batch].ops[at.frame];
      pieces_.at(count++) = piece_of(op.local.data() + (at.byte - sizeof(FrameBytes)), bytes);
      at.byte += bytes;
      max_bytes -= bytes;
    }
    if (at.byte == frame_bytes(at)) {
      next_frame(at);
    }
  }
  return std::span(pieces_).first(count);
}

void SendQueue::advance(std::size_t sent_bytes) {
  while (sent_bytes > 0) {
    skip_silent(cursor_);
    const std::size_t bytes = std::min(frame_bytes(cursor_) - cursor_.byte, sent_bytes);
    cursor_.byte += bytes;
    sent_bytes -= bytes;
    if (cursor_.byte == frame_bytes(cursor_)) {
      const Batch& batch = batches_[cursor_.batch];
      if (cursor_.frame == batch.ops.size()) {
        last_sent_ = batch.sequence;
      }
      next_frame(cursor_);
    }
  }
}

Status SendQueue::acknowledge(std::uint64_t sequence) {
  if (sequence <= last_acknowledged_ || sequence > last_sent_) {
    return absl::DataLossError(
        fmt::format("the receiver acknowledged batch {}; {} were sent and {} acknowledged before",
                    sequence, last_sent_, last_acknowledged_));
  }
  last_acknowledged_ = sequence;
  return absl::OkStatus();
}

std::vector<SendQueue::Finished> SendQueue::take_finished() {
  std::vector<Finished> finished;
  while (!batches_.empty() && batches_.front().sequence <= last_acknowledged_) {
    Batch& batch = batches_.front();
    finished.push_back({std::move(batch.done), std::move(batch.verdict)});
    batches_.pop_front();
    cursor_.batch -= std::min<std::size_t>(cursor_.batch, 1);
  }
  return finished;
}

std::vector<SendQueue::Finished> SendQueue::abandon(const Status& why) {
  std::vector<Finished> finished = take_finished();
  for (Batch& batch : std::exchange(batches_, {})) {
    finished.push_back({std::move(batch.done), batch.verdict.ok() ? why : batch.verdict});
  }
  cursor_ = {};
  return finished;
}

}  // namespace baton::transport::tcp
