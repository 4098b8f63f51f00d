#include "src/transport/tcp/outbound.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <utility>

#include "src/transport/post_done.h"

namespace baton::transport::tcp {

Outbound::Outbound(Reactor& reactor, const TcpOptions& options, UniqueFd fd, const Hello& hello,
                   TimePoint deadline, Done connected, Ended ended)
    : reactor_(reactor),
      options_(options),
      hello_(hello),
      socket_(reactor, std::move(fd), EPOLLOUT, [this](std::uint32_t events) { on_ready(events); }),
      deadline_timer_(reactor.run_at(
          deadline,
          [this] {
            fail(absl::DeadlineExceededError(fmt::format(
                "no answer from peer {} before the connect deadline", hello_.receiver.brief())));
          })),
      connected_(std::move(connected)),
      ended_(std::move(ended)) {
  tune(socket_.fd(), options_);
}

void Outbound::on_ready(std::uint32_t events) {
  const Status status = step(events);
  if (!status.ok()) {
    fail(status);
  }
}

Status Outbound::step(std::uint32_t events) {
  switch (state_) {
    case State::kConnecting:
      return greet();
    case State::kGreeting:
      return read_answer();
    case State::kOpen: {
      // Errors and hang-ups show in recv().
      Status status = (events & ~EPOLLOUT) != 0 ? read_acks() : absl::OkStatus();
      if (status.ok() && queue_.has_unsent()) {
        status = send_slice();
      }
      finish_batches();
      want_events();
      return status;
    }
    case State::kClosed:
      break;
  }
  return absl::OkStatus();
}

Status Outbound::greet() {
  Status status = connect_result(socket_.fd());
  if (!status.ok()) {
    return status;
  }
  const HelloBytes bytes = encode(hello_);
  const auto sent = socket_.send(bytes);
  if (!sent.ok() || *sent != bytes.size()) {
    // The socket's buffer is empty: a kernel that can't take 64 bytes is out of memory.
    return sent.ok() ? absl::UnavailableError(std::string("the hello can't be sent"))
                     : sent.status();
  }
  state_ = State::kGreeting;
  socket_.want(EPOLLIN);
  return status;
}

Status Outbound::read_answer() {
  const auto got = socket_.receive(std::span(answer_).subspan(received_bytes_));
  if (!got.ok()) {
    return got.status();
  }
  received_bytes_ += *got;
  if (received_bytes_ < answer_.size()) {
    return absl::OkStatus();
  }
  const auto answer = parse_answer(answer_);
  if (!answer.ok()) {
    return answer.status();
  }
  if (*answer != Answer::kAccepted) {
    return absl::PermissionDeniedError(
        fmt::format("peer {} refused the {}", hello_.receiver.brief(),
                    *answer == Answer::kRefused ? "ticket" : "protocol version"));
  }
  received_bytes_ = 0;
  state_ = State::kOpen;
  reactor_.cancel(std::exchange(deadline_timer_, kNoTimer));
  post_done(reactor_, std::move(connected_), absl::OkStatus());
  return absl::OkStatus();
}

void Outbound::write_batch(std::vector<WriteOp> ops, Status verdict, Done done) {
  queue_.push(std::move(ops), std::move(verdict), std::move(done));
  finish_batches();
  want_events();
}

Status Outbound::read_acks() {
  // Bounded by what was sent: an acknowledgement must be of a batch that is still waiting.
  while (true) {
    const auto got = socket_.receive(std::span(ack_).subspan(received_bytes_));
    if (!got.ok()) {
      return got.status();
    }
    received_bytes_ += *got;
    if (received_bytes_ < ack_.size()) {
      return absl::OkStatus();
    }
    received_bytes_ = 0;
    const auto sequence = parse_ack(ack_);
    Status status = sequence.ok() ? queue_.acknowledge(*sequence) : sequence.status();
    if (!status.ok()) {
      return status;
    }
  }
}

Status Outbound::send_slice() {
  std::size_t left_bytes = options_.slice_bytes;
  while (left_bytes > 0 && queue_.has_unsent()) {
    const auto sent = socket_.send(queue_.gather(left_bytes));
    if (!sent.ok()) {
      return sent.status();
    }
    if (*sent == 0) {
      break;
    }
    queue_.advance(*sent);
    left_bytes -= *sent;
  }
  return absl::OkStatus();
}

void Outbound::finish_batches() {
  for (SendQueue::Finished& batch : queue_.take_finished()) {
    post_done(reactor_, std::move(batch.done), std::move(batch.status));
  }
}

void Outbound::want_events() {
  socket_.want(queue_.has_unsent() ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void Outbound::close(const Status& why) {
  if (state_ == State::kClosed) {
    return;
  }
  state_ = State::kClosed;
  reactor_.cancel(deadline_timer_);
  if (!queue_.empty()) {
    reset_on_close(socket_.fd());
  }
  socket_.close();
  if (connected_) {
    post_done(reactor_, std::move(connected_), why);
  }
  for (SendQueue::Finished& batch : queue_.abandon(why)) {
    post_done(reactor_, std::move(batch.done), std::move(batch.status));
  }
}

void Outbound::fail(const Status& why) {
  const bool was_open = is_open();
  Ended ended = std::move(ended_);
  close(why);
  ended(why, was_open);
}

}  // namespace baton::transport::tcp
