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

std::uint64_t SendQueue::push(std::vector<WriteOp> ops) {
  Part part{.ops = std::move(ops), .sequence = ++last_pushed_};
  for (const WriteOp& op : part.ops) {
    part.payload_bytes += op.local.size();
  }
  unacknowledged_bytes_ += part.payload_bytes;
  parts_.push_back(std::move(part));
  return last_pushed_;
}

void SendQueue::push_urgent(const FrameBytes& frame) {
  urgent_.insert(urgent_.end(), frame.begin(), frame.end());
}

bool SendQueue::has_unsent() const {
  return !urgent_.empty() || last_sent_ < last_pushed_;
}

FrameBytes SendQueue::header_at(const Cursor& cursor) const {
  const Part& part = parts_[cursor.part];
  if (cursor.frame == part.ops.size()) {
    return encode_frame(EndOfBatch{part.sequence});
  }
  const WriteOp& op = part.ops[cursor.frame];
  return encode_frame(WriteHeader{.page = op.page,
                                  .generation = op.generation,
                                  .offset_bytes = op.offset_bytes,
                                  .length_bytes = op.local.size()});
}

std::size_t SendQueue::frame_bytes(const Cursor& cursor) const {
  const Part& part = parts_[cursor.part];
  const bool at_end = cursor.frame == part.ops.size();
  return sizeof(FrameBytes) + (at_end ? 0 : part.ops[cursor.frame].local.size());
}

void SendQueue::next_frame(Cursor& cursor) const {
  cursor.byte = 0;
  if (cursor.frame < parts_[cursor.part].ops.size()) {
    ++cursor.frame;
  } else {
    cursor.frame = 0;
    ++cursor.part;
  }
}

std::span<iovec> SendQueue::gather(std::size_t max_bytes) {
  std::size_t count = 0;
  const auto add = [&](const std::byte* data, std::size_t bytes) {
    pieces_.at(count++) = piece_of(data, bytes);
    max_bytes -= bytes;
  };
  const bool in_frame = cursor_.byte > 0;
  if (!urgent_.empty() && !in_frame) {
    add(urgent_.data(), std::min(urgent_.size(), max_bytes));
  }
  const std::size_t frames = !urgent_.empty() && in_frame ? 1 : kMaxFrames;
  Cursor at = cursor_;
  for (std::size_t frame = 0; frame < frames && max_bytes > 0; ++frame) {
    if (at.part == parts_.size()) {
      break;
    }
    if (at.byte < sizeof(FrameBytes)) {
      FrameBytes& header = headers_.at(frame);
      header = header_at(at);
      const std::size_t bytes = std::min(sizeof(FrameBytes) - at.byte, max_bytes);
      add(header.data() + at.byte, bytes);
      at.byte += bytes;
    }
    const std::size_t bytes = std::min(frame_bytes(at) - at.byte, max_bytes);
    if (bytes > 0) {
      const WriteOp& op = parts_[at.part].ops[at.frame];
      add(op.local.data() + (at.byte - sizeof(FrameBytes)), bytes);
      at.byte += bytes;
    }
    if (at.byte == frame_bytes(at)) {
      next_frame(at);
    }
  }
  return std::span(pieces_).first(count);
}

void SendQueue::advance(std::size_t sent_bytes) {
  if (!urgent_.empty() && cursor_.byte == 0) {
    const std::size_t of_urgent = std::min(urgent_.size(), sent_bytes);
    urgent_.erase(urgent_.begin(), urgent_.begin() + static_cast<std::ptrdiff_t>(of_urgent));
    sent_bytes -= of_urgent;
  }
  while (sent_bytes > 0) {
    const std::size_t bytes = std::min(frame_bytes(cursor_) - cursor_.byte, sent_bytes);
    cursor_.byte += bytes;
    sent_bytes -= bytes;
    if (cursor_.byte == frame_bytes(cursor_)) {
      const Part& part = parts_[cursor_.part];
      if (cursor_.frame == part.ops.size()) {
        last_sent_ = part.sequence;
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
  while (!parts_.empty() && parts_.front().sequence <= sequence) {
    unacknowledged_bytes_ -= parts_.front().payload_bytes;
    parts_.pop_front();
    --cursor_.part;  // Sent as a whole: the cursor is behind it.
  }
  return absl::OkStatus();
}

}  // namespace baton::transport::tcp
