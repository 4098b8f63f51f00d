#include "src/transport/shm/receiver_link.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>
#include <variant>

#include "src/transport/shm/host_identity.h"

namespace baton::transport::shm {
namespace {

constexpr int kPacketsPerTurn = 16;

struct Connection {
  UniqueFd socket;
  UniqueFd pidfd;
};

/// Our bytes go to this user's and root's processes only.
StatusOr<Connection> connect_to_receiver(const Ticket& ticket) {
  auto socket = connect_to(socket_name(ticket.socket_id));
  if (!socket.ok()) {
    return socket.status();
  }
  const auto process = peer_process(socket->get());
  if (!process.ok()) {
    return process.status();
  }
  if (!user_allowed(geteuid(), process->user)) {
    return absl::PermissionDeniedError(fmt::format(
        "shm: the receiver's socket belongs to user {}, not to {}", process->user, geteuid()));
  }
  auto pidfd = open_peer_pidfd(socket->get(), process->pid);
  if (!pidfd.ok()) {
    return pidfd.status();
  }
  return Connection{*std::move(socket), *std::move(pidfd)};
}

}  // namespace

StatusOr<std::unique_ptr<ReceiverLink>> ReceiverLink::open_on_loop(
    Reactor& reactor, const PeerId& self, const Ticket& ticket, TimePoint deadline,
    std::size_t max_message_bytes, ReceiverLinkOwner& owner) {
  auto connection = connect_to_receiver(ticket);
  if (!connection.ok()) {
    return connection.status();
  }
  const HelloPacket hello{.sender = self, .receiver = ticket.receiver, .nonce = random_nonce()};
  if (Status sent = send_packet(connection->socket.get(), encode_packet(hello)); !sent.ok()) {
    return sent;
  }
  std::unique_ptr<ReceiverLink> link(
      new ReceiverLink(reactor, ticket, hello, std::move(connection->socket),
                       std::move(connection->pidfd), max_message_bytes, owner));
  link->watch(deadline);
  return link;
}

ReceiverLink::ReceiverLink(Reactor& reactor, const Ticket& ticket, const HelloPacket& hello,
                           UniqueFd socket, UniqueFd pidfd, std::size_t max_message_bytes,
                           ReceiverLinkOwner& owner)
    : reactor_(reactor),
      ticket_(ticket),
      hello_(hello),
      owner_(owner),
      socket_(reactor, std::move(socket)),
      pidfd_(reactor, std::move(pidfd)),
      lane_(socket_, max_message_bytes) {}

void ReceiverLink::watch(TimePoint deadline) {
  // In each of these the call of the owner comes last: it may destroy this.
  socket_.watch_on_loop(EPOLLIN, [this](std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) {
      lane_.flush();
    }
    read_some();
  });
  pidfd_.watch_on_loop(EPOLLIN, [this](std::uint32_t /*events*/) {
    owner_.on_receiver_lost(*this, absl::UnavailableError("shm: the receiver's process has ended"));
  });
  deadline_ = reactor_.run_at(deadline, [this] {
    owner_.on_receiver_lost(
        *this, absl::DeadlineExceededError(
                   "shm: the receiver did not answer, or its memory was not mapped, in time"));
  });
}

void ReceiverLink::read_some() {
  // What is left makes the socket readable in the next turn.
  for (int packets = 0; packets < kPacketsPerTurn; ++packets) {
    Received received = receive_packet(socket_.get());
    if (received.kind == Received::Kind::kNothing) {
      return;
    }
    Status outcome = received.kind == Received::Kind::kEnd
                         ? absl::UnavailableError("shm: the receiver closed the connection")
                         : take_in(std::move(received));
    if (!outcome.ok()) {
      owner_.on_receiver_lost(*this, std::move(outcome));
      return;
    }
  }
}

Status ReceiverLink::tell_on_loop(std::string_view message) {
  return state_ == ReceiverState::kConnected
             ? lane_.send(message)
             : absl::UnavailableError("shm: the receiver is not connected");
}

Status ReceiverLink::take_message(const MessagePart& part) {
  auto message = lane_.take(part);
  if (message.ok() && message->has_value()) {
    owner_.on_receiver_says(*this, **std::move(message));
  }
  return message.status();
}

Status ReceiverLink::take_in(Received received) {
  if (const auto part = decode_message_part(received.bytes);
      part && state_ == ReceiverState::kConnected && received.descriptors.empty()) {
    return take_message(*part);
  }
  const auto packet = decode_packet(received.bytes);
  if (!packet.ok()) {
    return packet.status();
  }
  const bool opening = state_ == ReceiverState::kHelloSent || state_ == ReceiverState::kProofSent;
  const auto* challenge = std::get_if<ChallengePacket>(&*packet);
  if (challenge != nullptr && state_ == ReceiverState::kHelloSent) {
    return prove(*challenge);
  }
  const auto* welcome = std::get_if<WelcomePacket>(&*packet);
  if (welcome != nullptr && state_ == ReceiverState::kProofSent) {
    return start_mapping(*welcome, std::move(received));
  }
  const auto* refused = std::get_if<RefusedPacket>(&*packet);
  if (refused != nullptr && opening) {
    return refusal_status(refused->reason);
  }
  if (std::holds_alternative<RevokePacket>(*packet)) {
    return absl::UnavailableError("shm: the receiver revoked our right to write");
  }
  return absl::DataLossError("shm: the receiver broke the rules: a packet out of place");
}

Status ReceiverLink::prove(const ChallengePacket& challenge) {
  const ProofContext context = proof_context(hello_, challenge.nonce);
  if (!proof_is_right(challenge.proof, ticket_.secret, ProofRole::kReceiver, context)) {
    return absl::PermissionDeniedError(fmt::format(
        "shm: who answers for receiver {} does not know the ticket's secret: another process, or "
        "the ticket is no longer valid; repeat the handshake",
        peer().brief()));
  }
  state_ = ReceiverState::kProofSent;
  const Proof own = make_proof(ticket_.secret, ProofRole::kSender, context);
  return send_packet(socket_.get(), encode_packet(ProofPacket{own}));
}

Status ReceiverLink::start_mapping(const WelcomePacket& welcome, Received received) {
  if (received.descriptors.size() != 1 || welcome.page_bytes != ticket_.page_bytes ||
      welcome.page_count != ticket_.page_count) {
    return absl::DataLossError(fmt::format(
        "shm: the receiver welcomed us to {} pages of {} bytes with {} descriptors; its ticket "
        "says {} pages of {} bytes",
        welcome.page_count, welcome.page_bytes, received.descriptors.size(), ticket_.page_count,
        ticket_.page_bytes));
  }
  auto mapping = RemoteMapping::map(std::move(received.descriptors.front()),
                                    {.page_bytes = welcome.page_bytes,
                                     .file_bytes = welcome.file_bytes,
                                     .page_count = welcome.page_count});
  if (!mapping.ok()) {
    return mapping.status();
  }
  mapping_ = *std::move(mapping);
  state_ = ReceiverState::kMapping;
  populate_later();
  return absl::OkStatus();
}

void ReceiverLink::populate_later() {
  reactor_.post(lifetime_.guard([this] { populate_next(); }));
}

void ReceiverLink::populate_next() {
  const auto populated = mapping_->populate_slice();
  if (!populated.ok()) {
    owner_.on_receiver_lost(*this, populated.status());
  } else if (*populated) {
    say_mapped();
  } else {
    populate_later();
  }
}

void ReceiverLink::say_mapped() {
  if (Status sent = send_packet(socket_.get(), encode_packet(MappedPacket{})); !sent.ok()) {
    owner_.on_receiver_lost(*this, std::move(sent));
    return;
  }
  reactor_.cancel(std::exchange(deadline_, kNoTimer));
  state_ = ReceiverState::kConnected;
  owner_.on_receiver_connected(*this);
}

void ReceiverLink::release_on_loop() {
  reactor_.cancel(std::exchange(deadline_, kNoTimer));
  pidfd_.close_on_loop();
  absl::AnyInvocable<void()> farewell = [socket = socket_.release_on_loop()] {
    // A receiver that is gone already misses nothing.
    send_packet(socket.get(), encode_packet(ReleasedPacket{})).IgnoreError();
    // The socket may have been inherited by a forked child, which must not keep it open.
    shutdown(socket.get(), SHUT_RDWR);
  };
  if (mapping_ == nullptr) {
    farewell();
    return;
  }
  // Only when it is unmapped; and it isn't while a MemoryObj lies in it.
  mapping_->set_farewell(std::move(farewell));
  mapping_.reset();
}

}  // namespace baton::transport::shm
