// Where senders knock: accepts connections and waits for one hello on each.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>

#include "baton/status.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/transport/shm/packet_socket.h"
#include "src/transport/shm/shm_counters.h"
#include "src/transport/shm/shm_messages.h"
#include "src/transport/shm/watched_fd.h"

namespace baton::transport::shm {

struct ListenerLimits {
  /// Connections that have not said hello yet. Only this user's and root's processes come this far.
  std::size_t max_candidates = 64;
  Duration hello_timeout = std::chrono::seconds(5);
};

/// A process of an allowed user that said a well-formed hello. Its token is not checked yet.
struct Applicant {
  UniqueFd socket;
  PeerProcess process;
  HelloPacket hello;
};

class ApplicantHandler {
 public:
  virtual ~ApplicantHandler() = default;
  virtual void on_applicant(Applicant applicant) = 0;
};

/// Bounded in connections and in time: what does not say hello soon is closed.
class ShmListener {
 public:
  /// `handler` and `counters` outlive the listener.
  static StatusOr<std::unique_ptr<ShmListener>> open_on_loop(Reactor& reactor,
                                                             const ListenerLimits& limits,
                                                             ApplicantHandler& handler,
                                                             ShmCounters& counters);

  const Bytes16& socket_id() const { return socket_id_; }
  void close_on_loop();

 private:
  struct Candidate {
    WatchedFd socket;
    PeerProcess process;
    TimerId deadline = kNoTimer;
  };

  ShmListener(Reactor& reactor, const ListenerLimits& limits, ApplicantHandler& handler,
              ShmCounters& counters, const Bytes16& socket_id, UniqueFd socket);

  void accept_some();
  void pause_accepting();
  void admit(UniqueFd socket);
  void read_hello(int fd);
  Applicant take(int fd);

  Reactor& reactor_;
  const ListenerLimits limits_;
  ApplicantHandler& handler_;
  ShmCounters& counters_;
  const Bytes16 socket_id_;
  WatchedFd socket_;
  TimerId resume_ = kNoTimer;
  std::map<int, Candidate> candidates_;  // by descriptor
};

/// Says no, and closes.
void refuse(const UniqueFd& socket, RefusalReason reason);

}  // namespace baton::transport::shm
