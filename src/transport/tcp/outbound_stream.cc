#include "src/transport/tcp/outbound_stream.h"

#include <sys/epoll.h>

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
  Status status = (events & ~EPOLLOUT) != 0 ? read_words() : absl::OkStatus();
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

Status OutboundStream::read_words() {
  // Bounded: an acknowledgement must be of a part that is still waiting, and heartbeats come with
  // the receiver's ticks; one that floods us with them has at most the slice of a turn.
  for (std::size_t left_bytes = options_.slice_bytes; left_bytes >= sizeof(WordBytes);
       left_bytes -= sizeof(WordBytes)) {
    const auto got = socket_->receive(std::span(word_).subspan(received_bytes_));
    if (!got.ok()) {
      return got.status();
    }
    received_bytes_ += *got;
    if (received_bytes_ < word_.size()) {
      return absl::OkStatus();
    }
    received_bytes_ = 0;
    pulse_->heard();
    const auto word = parse_word(word_);
    Status status = word.ok() ? take_word(*word) : word.status();
    if (!status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

Status OutboundStream::take_word(const Word& word) {
  const auto* ack = std::get_if<Acknowledgement>(&word);
  if (ack == nullptr) {
    return absl::OkStatus();
  }
  Status status = queue_.acknowledge(ack->sequence);
  if (status.ok()) {
    owner_.on_stream_acknowledged();
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
    queue_.push_heartbeat();
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
  if (socket_ && !queue_.empty()) {
    reset_on_close(socket_->fd());
  }
  socket_.reset();
}

void OutboundStream::end(const Status& why) {
  close();
  owner_.on_stream_ended(why);
}

}  // namespace baton::transport::tcp
