#include "src/transport/tcp/outbound_opening.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <utility>

namespace baton::transport::tcp {

OutboundOpening::OutboundOpening(Reactor& reactor, const TcpOptions& options, UniqueFd fd,
                                 const Hello& hello, const Secret& secret, Opened opened)
    : hello_(hello),
      secret_(secret),
      opened_(std::move(opened)),
      socket_(reactor, std::move(fd), EPOLLOUT, [this](std::uint32_t) { on_ready(); }) {
  tune(socket_.fd(), options);
}

void OutboundOpening::on_ready() {
  const auto open = step();
  if (open.ok() && !*open) {
    return;
  }
  UniqueFd socket = socket_.release();
  Opened opened = std::move(opened_);
  if (open.ok()) {
    opened(std::move(socket));
  } else {
    socket.reset();
    opened(open.status());
  }
}

StatusOr<bool> OutboundOpening::step() {
  Status status;
  switch (state_) {
    case State::kConnecting:
      status = greet();
      break;
    case State::kGreeting:
      status = read_challenge();
      break;
    case State::kProving:
      return read_verdict();
  }
  if (!status.ok()) {
    return status;
  }
  return false;
}

StatusOr<bool> OutboundOpening::receive(std::span<std::byte> message) {
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

Status OutboundOpening::say(std::span<const std::byte> message) {
  const auto sent = socket_.send(message);
  if (sent.ok() && *sent != message.size()) {
    // The socket's buffer is empty: a kernel that can't take 100 bytes is out of memory.
    return absl::UnavailableError(std::string("the opening of a stream can't be sent"));
  }
  return sent.status();
}

Status OutboundOpening::greet() {
  Status status = connect_result(socket_.fd());
  if (status.ok()) {
    status = say(encode(hello_));
  }
  state_ = State::kGreeting;
  socket_.want(EPOLLIN);
  return status;
}

Status OutboundOpening::read_challenge() {
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

Status OutboundOpening::prove(const Challenge& challenge) {
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

StatusOr<bool> OutboundOpening::read_verdict() {
  const auto whole = receive(verdict_);
  if (!whole.ok() || !*whole) {
    return whole;
  }
  const auto verdict = parse_verdict(verdict_);
  if (!verdict.ok()) {
    return verdict.status();
  }
  if (*verdict != Verdict::kAccepted) {
    return absl::PermissionDeniedError(
        fmt::format("peer {} refused the ticket", hello_.receiver.brief()));
  }
  return true;
}

}  // namespace baton::transport::tcp
