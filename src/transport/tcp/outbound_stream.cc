#include "src/transport/tcp/outbound_stream.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <utility>

namespace baton::transport::tcp {

static_assert(sizeof(VerdictBytes) == sizeof(WordBytes));

OutboundStream::OutboundStream(Reactor& reactor, const TcpOptions& options, UniqueFd fd,
                               const Hello& hello, const Secret& secret, OutboundStreamOwner& owner)
    : reactor_(reactor),
      options_(options),
      hello_(hello),
      secret_(secret),
      owner_(owner),
      socket_(reactor, std::move(fd), EPOLLOUT,
              [this](std::uint32_t events) { on_ready(events); }) {
  tune(socket_.fd(), options_);
}

void OutboundStream::on_ready(std::uint32_t events) {
  const Status status = step(events);
  if (!status.ok()) {
    end(status);
  }
}

Status OutboundStream::step(std::uint32_t events) {
  switch (state_) {
    case State::kConnecting:
      return greet();
    case State::kGreeting:
      return read_challenge();
    case State::kProving:
      return read_verdict();
    case State::kOpen: {
      // Errors and hang-ups show in recv().
      Status status = (events & ~EPOLLOUT) != 0 ? read_words() : absl::OkStatus();
      if (status.ok() && queue_.has_unsent()) {
        status = send_slice();
      }
      want_events();
      return status;
    }
    case State::kClosed:
      break;
  }
  return absl::OkStatus();
}

// ---- opening -------------------------------------------------------------------------------

StatusOr<bool> OutboundStream::receive(std::span<std::byte> message) {
  const auto got = socket_.receive(message.subspan(received_bytes_));
  if (!got.ok()) {
    return got.status();
  }
  received_bytes_ += *got;
  const bool whole = received_bytes_ == message.size();
  if (whole) {
    received_bytes_ = 0;
  }
  return whole;
}

Status OutboundStream::say(std::span<const std::byte> message) {
  const auto sent = socket_.send(message);
  if (sent.ok() && *sent != message.size()) {
    // The socket's buffer is empty: a kernel that can't take 100 bytes is out of memory.
    return absl::UnavailableError(std::string("the opening of a stream can't be sent"));
  }
  return sent.status();
}

Status OutboundStream::greet() {
  Status status = connect_result(socket_.fd());
  if (status.ok()) {
    status = say(encode(hello_));
  }
  state_ = State::kGreeting;
  socket_.want(EPOLLIN);
  return status;
}

Status OutboundStream::read_challenge() {
  const auto whole = receive(challenge_);
  if (!whole.ok() || !*whole) {
    return whole.status();
  }
  const auto challenge = parse_challenge(challenge_);
  if (!challenge.ok()) {
    return challenge.status();
  }
  if (!challenge->same_version) {
    return absl::PermissionDeniedError(
        fmt::format("peer {} speaks another version of the tcp data plane than {}",
                    hello_.receiver.brief(), kVersion));
  }
  return prove(*challenge);
}

Status OutboundStream::prove(const Challenge& challenge) {
  const ProofContext context = proof_context(hello_, challenge.nonce);
  if (!proof_is_right(challenge.proof, secret_, ProofRole::kReceiver, context)) {
    return absl::PermissionDeniedError(
        fmt::format("who answers at peer {}'s address does not know the ticket's secret: another "
                    "process, or the ticket is no longer valid; repeat the handshake",
                    hello_.receiver.brief()));
  }
  state_ = State::kProving;
  return say(encode_proof(make_proof(secret_, ProofRole::kSender, context)));
}

Status OutboundStream::read_verdict() {
  const auto whole = receive(word_);
  if (!whole.ok() || !*whole) {
    return whole.status();
  }
  const auto verdict = parse_verdict(word_);
  if (!verdict.ok()) {
    return verdict.status();
  }
  if (*verdict != Verdict::kAccepted) {
    return absl::PermissionDeniedError(
        fmt::format("peer {} refused the ticket", hello_.receiver.brief()));
  }
  open();
  return absl::OkStatus();
}

void OutboundStream::open() {
  state_ = State::kOpen;
  pulse_.emplace(reactor_, options_,
                 Pulse::Actions{.beat = [this] { beat(); },
                                .give_up = [this](const Status& why) { end(why); }});
  owner_.on_stream_open();
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
    const auto whole = receive(word_);
    if (!whole.ok() || !*whole) {
      return whole.status();
    }
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
    const auto sent = socket_.send(queue_.gather(left_bytes));
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
  socket_.want(queue_.has_unsent() ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

// ---- end -----------------------------------------------------------------------------------

void OutboundStream::close() {
  if (state_ == State::kClosed) {
    return;
  }
  state_ = State::kClosed;
  pulse_.reset();
  if (!queue_.empty()) {
    reset_on_close(socket_.fd());
  }
  socket_.close();
}

void OutboundStream::end(const Status& why) {
  close();
  owner_.on_stream_ended(why);
}

}  // namespace baton::transport::tcp
