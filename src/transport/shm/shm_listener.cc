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
                                                                 Doorkeeper& keeper,
                                                                 ShmCounters& counters) {
  const Bytes16 socket_id = Epoch::random().bytes;
  auto socket = listen_on(socket_name(socket_id));
  if (!socket.ok()) {
    return socket.status();
  }
  std::unique_ptr<ShmListener> listener(
      new ShmListener(reactor, limits, keeper, counters, socket_id, *std::move(socket)));
  listener->socket_.watch_on_loop(
      EPOLLIN, [raw = listener.get()](std::uint32_t /*events*/) { raw->accept_some(); });
  return listener;
}

ShmListener::ShmListener(Reactor& reactor, const ListenerLimits& limits, Doorkeeper& keeper,
                         ShmCounters& counters, const Bytes16& socket_id, UniqueFd socket)
    : reactor_(reactor),
      limits_(limits),
      keeper_(keeper),
      counters_(counters),
      socket_id_(socket_id),
      socket_(reactor, std::move(socket)) {}

void ShmListener::close_on_loop() {
  reactor_.cancel(resume_);
  socket_.close_on_loop();
  for (auto& [id, candidate] : candidates_) {
    reactor_.cancel(candidate.deadline);
    candidate.socket.close_on_loop();
  }
  candidates_.clear();
}

void ShmListener::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd accepted(accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (accepted) {
      welcome(std::move(accepted));
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

void ShmListener::welcome(UniqueFd socket) {
  const auto process = peer_process(socket.get());
  if (!process.ok() || process->pid <= 0 || !user_allowed(geteuid(), process->user)) {
    ++counters_.connections_refused;
    return;
  }
  const CandidateId id = room_.enter(process->pid);
  Candidate& candidate =
      candidates_.try_emplace(id, WatchedFd(reactor_, std::move(socket)), *process).first->second;
  candidate.deadline = reactor_.run_after(limits_.opening_timeout, [this, id] { expire(id); });
  candidate.socket.watch_on_loop(EPOLLIN, [this, id](std::uint32_t /*events*/) { read_next(id); });
  if (room_.size() > limits_.max_candidates) {
    expire(*room_.who_has_to_go());
  }
}

void ShmListener::expire(CandidateId id) {
  ++counters_.openings_expired;
  take(id);
}

void ShmListener::read_next(CandidateId id) {
  const Candidate& candidate = candidates_.at(id);
  const Received received = receive_packet(candidate.socket.get());
  if (received.kind == Received::Kind::kNothing) {
    return;
  }
  if (received.kind == Received::Kind::kEnd) {
    expire(id);
    return;
  }
  const auto packet = decode_packet(received.bytes);
  if (!packet.ok() || !received.descriptors.empty() ||
      received.sender_pid != candidate.process.pid) {
    refuse_candidate(id, RefusalReason::kMalformed);
    return;
  }
  take_packet(id, *packet);
}

void ShmListener::take_packet(CandidateId id, const Packet& packet) {
  const bool challenged = candidates_.at(id).hello.has_value();
  const auto* hello = std::get_if<HelloPacket>(&packet);
  const auto* proof = std::get_if<ProofPacket>(&packet);
  if (hello != nullptr && !challenged) {
    challenge(id, *hello);
  } else if (proof != nullptr && challenged) {
    judge(id, proof->proof);
  } else if (std::holds_alternative<ReleasedPacket>(packet) && challenged) {
    expire(id);  // It did not believe our proof, and leaves.
  } else {
    refuse_candidate(id, RefusalReason::kMalformed);
  }
}

void ShmListener::challenge(CandidateId id, const HelloPacket& hello) {
  Candidate& candidate = candidates_.at(id);
  candidate.hello = hello;
  candidate.nonce = random_nonce();
  const Proof proof = make_proof(keeper_.secret_for(hello), ProofRole::kReceiver,
                                 proof_context(hello, candidate.nonce));
  const ChallengePacket packet{.nonce = candidate.nonce, .proof = proof};
  if (!send_packet(candidate.socket.get(), encode_packet(packet)).ok()) {
    expire(id);
  }
}

void ShmListener::judge(CandidateId id, const Proof& proof) {
  const Candidate& candidate = candidates_.at(id);
  // The secret of now: a ticket that ended since the challenge opens nothing.
  if (proof_is_right(proof, keeper_.secret_for(*candidate.hello), ProofRole::kSender,
                     proof_context(*candidate.hello, candidate.nonce))) {
    keeper_.on_applicant(take(id));
  } else {
    refuse_candidate(id, RefusalReason::kBadTicket);
  }
}

void ShmListener::refuse_candidate(CandidateId id, RefusalReason reason) {
  const Applicant applicant = take(id);
  ++counters_.openings_refused;
  log::warning("shm: refused a connection of process {} (reason {})", applicant.process.pid,
               static_cast<std::uint32_t>(reason));
  refuse(applicant.socket, reason);
}

Applicant ShmListener::take(CandidateId id) {
  room_.leave(id);
  auto node = candidates_.extract(id);
  Candidate& candidate = node.mapped();
  reactor_.cancel(candidate.deadline);
  return {.socket = candidate.socket.release_on_loop(),
          .process = candidate.process,
          .hello = candidate.hello.value_or(HelloPacket{})};
}

}  // namespace baton::transport::shm
