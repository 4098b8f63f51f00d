#include "src/transport/tcp/outbound_stream.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

namespace baton::transport::tcp {

OutboundStream::OutboundStream(Reactor& reactor, const TcpOptions& options, UniqueFd fd,
                               const Hello& hello, const Secret& secret, OutboundStreamOwner& owner)
    : reactor_(reactor), options_(options), owner_(owner) {
  opening_.emplace(reactor, options, std::move(fd), hello, secret,
                   [this](StatusOr<UniqueFd> socket) { on_opened(std::move(socket)); });
}

void OutboundStream::on_opened(StatusOr<UniqueFd> socket) {
  if (!socket.ok()) {
    end(socket.status());
    return;
  }
  state_ = State::kOpen;
  opening_.reset();
  socket_.emplace(reactor_, *std::move(socket), EPOLLIN,
                  [this](std::uint32_t events) { on_ready(events); });
  pulse_.emplace(reactor_, options_,
                 Pulse::Actions{.beat = [this] { beat(); },
                                .give_up = [this](const Status& why) { end(why); }});
  owner_.on_stream_open();
}

void OutboundStream::on_ready(std::uint32_t events) {
  const Status status = step(events);
  if (!status.ok()) {
    end(status);
  }
}

Status OutboundStream::step(std::uint32_t events) {
  // Errors and hang-ups show in recv().
  Status status = (events & ~EPOLLOUT) != 0 ? receive_slice() : absl::OkStatus();
  if (status.ok() && queue_.has_unsent()) {
    status = send_slice();
  }
  want_events();
  return status;
}

// ---- open ----------------------------------------------------------------------------------

std::uint64_t OutboundStream::send_part(std::vector<WriteOp> ops) {
  const std::uint64_t sequence = queue_.push(std::move(ops));
  want_events();
  return sequence;
}

std::uint64_t OutboundStream::read_part(const std::vector<ReadOp>& ops) {
  const std::uint64_t number = reads_.push(ops);
  ask_for_reads();
  want_events();
  return number;
}

void OutboundStream::ask_for_reads() {
  while (const auto request = reads_.next_request()) {
    queue_.push_urgent(encode_frame(*request));
  }
}

Status OutboundStream::receive_slice() {
  // Bounded: an acknowledgement must be of a part that is still waiting, data of a read that was
  // asked for, and heartbeats come with the receiver's ticks; one that floods us with them has at
  // most the slice of a turn.
  const std::uint64_t reads_before = reads_.last_completed();
  for (std::size_t left_bytes = options_.slice_bytes; left_bytes > 0;) {
    const auto got = reads_.room().empty() ? receive_word() : receive_data(left_bytes);
    if (!got.ok()) {
      return got.status();
    }
    if (*got == 0) {
      break;
    }
    pulse_->heard();
    left_bytes -= std::min(left_bytes, *got);
  }
  if (reads_.last_completed() != reads_before) {
    ask_for_reads();
    owner_.on_stream_progressed();
  }
  return absl::OkStatus();
}

StatusOr<std::size_t> OutboundStream::receive_data(std::size_t max_bytes) {
  const auto room = reads_.room();
  auto got = socket_->receive(room.first(std::min(room.size(), max_bytes)));
  if (got.ok() && *got > 0) {
    reads_.advance(*got);
  }
  return got;
}

StatusOr<std::size_t> OutboundStream::receive_word() {
  auto got = socket_->receive(std::span(word_).subspan(received_bytes_));
  if (!got.ok()) {
    return got;
  }
  received_bytes_ += *got;
  if (received_bytes_ == word_.size()) {
    received_bytes_ = 0;
    const auto word = parse_word(word_);
    Status status = word.ok() ? take_word(*word) : word.status();
    if (!status.ok()) {
      return status;
    }
  }
  return got;
}

Status OutboundStream::take_word(const Word& word) {
  if (const auto* data = std::get_if<ReadData>(&word)) {
    return reads_.begin_answer(*data);
  }
  const auto* ack = std::get_if<Acknowledgement>(&word);
  if (ack == nullptr) {
    return absl::OkStatus();
  }
  Status status = queue_.acknowledge(ack->sequence);
  if (status.ok()) {
    owner_.on_stream_progressed();
  }
  return status;
}

Status OutboundStream::send_slice() {
  std::size_t left_bytes = options_.slice_bytes;
  while (left_bytes > 0 && queue_.has_unsent()) {
    const auto sent = socket_->send(queue_.gather(left_bytes));
    if (!sent.ok()) {
      return sent.status();
    }
    if (*sent == 0) {
      break;
    }
    pulse_->said();
    queue_.advance(*sent);
    left_bytes -= *sent;
  }
  return absl::OkStatus();
}

void OutboundStream::beat() {
  // With bytes unsent this stream is not idle, and may be in the middle of a frame.
  if (!queue_.has_unsent()) {
    queue_.push_urgent(encode_frame(Heartbeat{}));
    want_events();
  }
}

void OutboundStream::want_events() {
  socket_->want(queue_.has_unsent() ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

// ---- end -----------------------------------------------------------------------------------

void OutboundStream::close() {
  if (state_ == State::kClosed) {
    return;
  }
  state_ = State::kClosed;
  pulse_.reset();
  opening_.reset();
  if (socket_ && !(queue_.empty() && reads_.empty())) {
    reset_on_close(socket_->fd());
  }
  socket_.reset();
}

void OutboundStream::end(const Status& why) {
  close();
  owner_.on_stream_ended(why);
}

}  // namespace baton::transport::tcp
