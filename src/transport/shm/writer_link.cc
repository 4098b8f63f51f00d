#include "src/transport/shm/writer_link.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <utility>
#include <variant>

namespace baton::transport::shm {
namespace {

constexpr int kPacketsPerTurn = 16;

}  // namespace

StatusOr<std::unique_ptr<WriterLink>> WriterLink::open_on_loop(
    Reactor& reactor, Applicant& applicant, const WelcomePacket& welcome, int memfd,
    std::size_t max_message_bytes, WriterLinkOwner& owner) {
  // First the means of proof, then the descriptor.
  auto pidfd = open_peer_pidfd(applicant.socket.get(), applicant.process.pid);
  if (!pidfd.ok()) {
    return pidfd.status();
  }
  if (Status sent = send_packet(applicant.socket.get(), encode_packet(welcome), memfd);
      !sent.ok()) {
    return sent;
  }
  std::unique_ptr<WriterLink> link(
      new WriterLink(reactor, std::move(applicant), *std::move(pidfd), max_message_bytes, owner));
  link->watch();
  return link;
}

WriterLink::WriterLink(Reactor& reactor, Applicant&& applicant, UniqueFd pidfd,
                       std::size_t max_message_bytes, WriterLinkOwner& owner)
    : peer_(applicant.hello.sender),
      pid_(applicant.process.pid),
      owner_(owner),
      socket_(reactor, std::move(applicant.socket)),
      pidfd_(reactor, std::move(pidfd)),
      lane_(socket_, max_message_bytes) {}

void WriterLink::watch() {
  socket_.watch_on_loop(EPOLLIN, [this](std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) {
      lane_.flush();
    }
    read_some();
    owner_.on_writer_link(*this);  // Last: may destroy this.
  });
  pidfd_.watch_on_loop(EPOLLIN, [this](std::uint32_t /*events*/) {
    fence(absl::UnavailableError(fmt::format("shm: the writer's process {} has ended", pid_)));
    owner_.on_writer_link(*this);
  });
}

void WriterLink::ask_to_release_on_loop() {
  if (live()) {
    state_ = WriterState::kRevoking;
    // If it can't be sent, the connection is gone, and reading will say so.
    send_packet(socket_.get(), encode_packet(RevokePacket{})).IgnoreError();
  }
}

Status WriterLink::tell_on_loop(std::string_view message) {
  return state_ == WriterState::kMapped
             ? lane_.send(message)
             : absl::UnavailableError("shm: the writer is not connected");
}

void WriterLink::read_some() {
  // What is left makes the socket readable in the next turn.
  for (int packets = 0; socket_ && packets < kPacketsPerTurn; ++packets) {
    const Received received = receive_packet(socket_.get());
    if (received.kind == Received::Kind::kNothing) {
      return;
    }
    if (received.kind == Received::Kind::kEnd) {
      sever(absl::UnavailableError("shm: the writer's connection closed without its release"));
      return;
    }
    take_in(received);
  }
}

void WriterLink::take_message(const MessagePart& part) {
  auto message = lane_.take(part);
  if (!message.ok()) {
    sever(message.status());
  } else if (message->has_value() && state_ == WriterState::kMapped) {
    owner_.on_writer_says(*this, **std::move(message));
  }
  // While revoking: what it says is of no use to anybody any more.
}

void WriterLink::take_in(const Received& received) {
  const bool may_speak = state_ == WriterState::kMapped || state_ == WriterState::kRevoking;
  if (const auto part = decode_message_part(received.bytes);
      part && may_speak && received.descriptors.empty() && received.sender_pid == pid_) {
    take_message(*part);
    return;
  }
  const auto packet = decode_packet(received.bytes);
  const bool from_the_process_itself = received.sender_pid == pid_;
  if (!packet.ok() || !received.descriptors.empty() || !from_the_process_itself) {
    sever(absl::DataLossError(fmt::format(
        "shm: the writer broke the rules: a packet of {} bytes with {} descriptors "
        "from process {}, connected by process {}",
        received.bytes.size(), received.descriptors.size(), received.sender_pid, pid_)));
  } else if (std::holds_alternative<MappedPacket>(*packet)) {
    become_mapped();
  } else if (std::holds_alternative<ReleasedPacket>(*packet)) {
    fence(absl::UnavailableError("shm: the writer disconnected"));
  } else {
    sever(absl::DataLossError("shm: the writer broke the rules: a packet out of place"));
  }
}

void WriterLink::become_mapped() {
  if (state_ == WriterState::kOffered) {
    state_ = WriterState::kMapped;
  } else if (state_ == WriterState::kMapped) {
    sever(absl::DataLossError("shm: the writer broke the rules: mapped twice"));
  }
  // While revoking: its word crossed ours. `released` will follow.
}

void WriterLink::sever(Status why) {
  socket_.close_on_loop();
  state_ = WriterState::kSevered;
  why_ = std::move(why);
}

void WriterLink::fence(Status why) {
  if (state_ != WriterState::kSevered) {
    why_ = std::move(why);
  }
  close_on_loop();
  state_ = WriterState::kFenced;
}

void WriterLink::close_on_loop() {
  socket_.close_on_loop();
  pidfd_.close_on_loop();
}

}  // namespace baton::transport::shm
