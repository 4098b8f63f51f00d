// Where senders knock: accepts connections, and lets each prove who it is.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "baton/status.h"
#include "src/base/scheduler.h"
#include "src/transport/shm/packet_socket.h"
#include "src/transport/shm/shm_counters.h"
#include "src/transport/shm/shm_messages.h"
#include "src/transport/shm/watched_fd.h"
#include "src/transport/waiting_room.h"

namespace baton::transport::shm {

struct ListenerLimits {
  /// Connections that have not proven who they are. Only this user's and root's processes come this
  /// far; one more closes another.
  std::size_t max_candidates = 64;
  /// From a connection's arrival to its right proof.
  Duration opening_timeout = std::chrono::seconds(5);
};

/// A process of an allowed user that has proven its hello.
struct Applicant {
  UniqueFd socket;
  PeerProcess process;
  HelloPacket hello;
};

/// Knows who is expected. Called from the loop.
class Doorkeeper {
 public:
  virtual ~Doorkeeper() = default;
  /// The secret that who says this hello has to know; a decoy, which nobody knows, where the hello
  /// fits no ticket. Either way the same happens next.
  virtual const Secret& secret_for(const HelloPacket& hello) const = 0;
  virtual void on_applicant(Applicant applicant) = 0;
};

/// Bounded in connections and in time: what does not prove itself soon is closed.
class ShmListener {
 public:
  /// `keeper` and `counters` outlive the listener.
  static StatusOr<std::unique_ptr<ShmListener>> open_on_loop(Reactor& reactor,
                                                             const ListenerLimits& limits,
                                                             Doorkeeper& keeper,
                                                             ShmCounters& counters);

  const Bytes16& socket_id() const { return socket_id_; }
  void close_on_loop();

 private:
  struct Candidate {
    Candidate(WatchedFd fd, const PeerProcess& peer) : socket(std::move(fd)), process(peer) {}

    WatchedFd socket;
    PeerProcess process;
    TimerId deadline = kNoTimer;
    std::optional<HelloPacket> hello;  ///< once challenged
    Nonce nonce{};                     ///< ours, with the challenge
  };
  using Room = WaitingRoom<pid_t>;
  using CandidateId = Room::GuestId;

  ShmListener(Reactor& reactor, const ListenerLimits& limits, Doorkeeper& keeper,
              ShmCounters& counters, const Bytes16& socket_id, UniqueFd socket);

  void accept_some();
  void pause_accepting();
  void welcome(UniqueFd socket);
  void read_next(CandidateId id);
  void take_packet(CandidateId id, const Packet& packet);
  void challenge(CandidateId id, const HelloPacket& hello);
  void judge(CandidateId id, const Proof& proof);
  void refuse_candidate(CandidateId id, RefusalReason reason);
  void expire(CandidateId id);
  Applicant take(CandidateId id);

  Reactor& reactor_;
  const ListenerLimits limits_;
  Doorkeeper& keeper_;
  ShmCounters& counters_;
  const Bytes16 socket_id_;
  WatchedFd socket_;
  TimerId resume_ = kNoTimer;
  Room room_;
  std::map<CandidateId, Candidate> candidates_;
};

/// Says no, and closes.
void refuse(const UniqueFd& socket, RefusalReason reason);

}  // namespace baton::transport::shm
