#include "src/transport/shm/shm_listener.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "src/base/log.h"
#include "src/transport/shm/host_identity.h"

namespace baton::transport::shm {
namespace {

/// Accepted in one turn: the loop has other things to do.
constexpr int kAcceptsPerTurn = 16;

/// How long accepting rests when the process is out of descriptors.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

bool out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

void refuse(const UniqueFd& socket, RefusalReason reason) {
  // A peer that is gone already needs no answer.
  send_packet(socket.get(), encode_packet(RefusedPacket{reason})).IgnoreError();
}

StatusOr<std::unique_ptr<ShmListener>> ShmListener::open_on_loop(Reactor& reactor,
                                                                 const ListenerLimits& limits,
                                                                 ApplicantHandler& handler,
                                                                 ShmCounters& counters) {
  const Bytes16 socket_id = Epoch::random().bytes;
  auto socket = listen_on(socket_name(socket_id));
  if (!socket.ok()) {
    return socket.status();
  }
  std::unique_ptr<ShmListener> listener(
      new ShmListener(reactor, limits, handler, counters, socket_id, *std::move(socket)));
  listener->socket_.watch_on_loop(
      EPOLLIN, [raw = listener.get()](std::uint32_t /*events*/) { raw->accept_some(); });
  return listener;
}

ShmListener::ShmListener(Reactor& reactor, const ListenerLimits& limits, ApplicantHandler& handler,
                         ShmCounters& counters, const Bytes16& socket_id, UniqueFd socket)
    : reactor_(reactor),
      limits_(limits),
      handler_(handler),
      counters_(counters),
      socket_id_(socket_id),
      socket_(reactor, std::move(socket)) {}

void ShmListener::close_on_loop() {
  reactor_.cancel(resume_);
  socket_.close_on_loop();
  for (auto& [fd, candidate] : candidates_) {
    reactor_.cancel(candidate.deadline);
    candidate.socket.close_on_loop();
  }
  candidates_.clear();
}

void ShmListener::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd accepted(accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (accepted) {
      admit(std::move(accepted));
    } else {
      if (out_of_resources(errno)) {
        pause_accepting();
      }
      return;
    }
  }
}

void ShmListener::pause_accepting() {
  // Level-triggered: without the pause the loop would spin on what it can't accept.
  log::warning("shm: out of descriptors or memory; no new connection for {} ms",
               kAcceptPause.count());
  reactor_.rewatch(socket_.get(), 0);
  resume_ = reactor_.run_after(kAcceptPause, [this] { reactor_.rewatch(socket_.get(), EPOLLIN); });
}

void ShmListener::admit(UniqueFd socket) {
  const auto process = peer_process(socket.get());
  if (!process.ok() || process->pid <= 0 || !user_allowed(geteuid(), process->user) ||
      candidates_.size() >= limits_.max_candidates) {
    ++counters_.connections_refused;
    return;
  }
  const int fd = socket.get();
  Candidate& candidate =
      candidates_.emplace(fd, Candidate{WatchedFd(reactor_, std::move(socket)), *process})
          .first->second;
  candidate.deadline = reactor_.run_after(limits_.hello_timeout, [this, fd] {
    ++counters_.hellos_missing;
    take(fd);
  });
  candidate.socket.watch_on_loop(EPOLLIN, [this, fd](std::uint32_t /*events*/) { read_hello(fd); });
}

void ShmListener::read_hello(int fd) {
  const Received received = receive_packet(fd);
  if (received.kind == Received::Kind::kNothing) {
    return;
  }
  Applicant applicant = take(fd);
  if (received.kind == Received::Kind::kEnd) {
    ++counters_.hellos_missing;
    return;
  }
  const auto packet = decode_packet(received.bytes);
  const auto* hello = packet.ok() ? std::get_if<HelloPacket>(&*packet) : nullptr;
  if (hello == nullptr || !received.descriptors.empty() ||
      received.sender_pid != applicant.process.pid) {
    ++counters_.hellos_refused;
    refuse(applicant.socket, RefusalReason::kMalformed);
    return;
  }
  applicant.hello = *hello;
  handler_.on_applicant(std::move(applicant));
}

Applicant ShmListener::take(int fd) {
  auto node = candidates_.extract(fd);
  Candidate& candidate = node.mapped();
  reactor_.cancel(candidate.deadline);
  return {.socket = candidate.socket.release_on_loop(), .process = candidate.process, .hello = {}};
}

}  // namespace baton::transport::shm
