#include "src/transport/tcp/read_queue.h"

#include <fmt/format.h>

namespace baton::transport::tcp {

std::uint64_t ReadQueue::push(const std::vector<ReadOp>& ops) {
  for (const ReadOp& op : ops) {
    unread_bytes_ += op.local.size();
    ops_.push_back(op);
  }
  return last_completed_ + ops_.size();
}

std::optional<ReadHeader> ReadQueue::next_request() {
  if (asked_ == ops_.size() || asked_ >= kMaxReads) {
    return std::nullopt;
  }
  const ReadOp& op = ops_[asked_++];
  return ReadHeader{.page = op.page,
                    .generation = op.generation,
                    .offset_bytes = op.offset_bytes,
                    .length_bytes = static_cast<std::uint32_t>(op.local.size()),
                    .number = static_cast<std::uint32_t>(last_completed_ + asked_)};
}

Status ReadQueue::begin_answer(const ReadData& answer) {
  const auto expected = static_cast<std::uint32_t>(last_completed_ + 1);
  if (asked_ == 0 || answer.number != expected ||
      answer.length_bytes != ops_.front().local.size()) {
    return absl::DataLossError(fmt::format(
        "the receiver sent {} bytes as the answer to read {}; {} reads wait for one, from {} on",
        answer.length_bytes, answer.number, asked_, expected));
  }
  answering_ = true;
  return absl::OkStatus();
}

std::span<std::byte> ReadQueue::room() const {
  return answering_ ? ops_.front().local : std::span<std::byte>();
}

void ReadQueue::advance(std::size_t received_bytes) {
  ReadOp& op = ops_.front();
  op.local = op.local.subspan(received_bytes);
  unread_bytes_ -= received_bytes;
  if (op.local.empty()) {
    ops_.pop_front();
    --asked_;
    ++last_completed_;
    answering_ = false;
  }
}

}  // namespace baton::transport::tcp
