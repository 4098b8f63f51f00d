// Control messages over ZeroMQ, as LMCache's processes speak it.
//
//   Server  ROUTER, mandatory routes. Reads [identity, "", payload]; answers REQ and DEALER peers.
//   Client  DEALER with an empty delimiter: to a REP or ROUTER it looks like a REQ, but without
//           REQ's lock-step. Reconnects by itself; what is queued then reaches the server's next
//           incarnation, so messages carry epochs.
//   Push    PUSH whose socket makes one connection in its life (see zmq_push.h).
//   Pull    PULL.
//
// A server ignores a second client with an identity that is taken: its messages go nowhere and
// fill its queue, without an error on either side. That includes a client that reconnects before
// the server has noticed the loss; who gets no answer in time makes a client with a new identity.
//
// With credentials every connection uses CURVE: a server admits the keys of its clients' role, a
// client speaks only to who has the key that is known for the address, and what comes before the
// second '-' of a client's identity belongs to the key that used it first (docs/security.md). The
// keys are checked on the loop: while it is busy, connections wait, and nothing else does.
//
// Every socket is non-blocking, with bounded queues, a finite linger, a largest message, and
// heartbeats. What is malformed is dropped and counted. ZeroMQ bounds the size of a frame, but not
// how many a peer puts in one message, and keeps all of them until the last is there: who is
// admitted can cost memory without limit.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "src/base/scheduler.h"
#include "src/control/control.h"
#include "src/security/credentials.h"

namespace baton::control {

/// Ranges are checked when a socket is opened.
struct ZmqOptions {
  /// Null: no keys, and whoever can connect is heard.
  std::shared_ptr<const security::Credentials> credentials = nullptr;
  /// Messages that wait to be sent, per peer; at least 1. Also what a client or push holds unread.
  int hwm = 1000;
  /// Messages that a server or pull holds unread, per peer; more wait at the peer. With
  /// max_message_bytes it bounds what the messages of one peer can take. At least 1.
  int receive_hwm = 32;
  /// A peer that sends a larger frame is disconnected. At least 1.
  std::size_t max_message_bytes = 8U << 20U;
  /// How long what is unsent may outlive its socket; also bounds the network's destructor.
  std::chrono::milliseconds linger_ms{500};
  /// Silence after which ZeroMQ asks for a sign of life; 0 switches heartbeats off.
  std::chrono::milliseconds heartbeat_ms{2'000};
  /// Silence after that question which ends the connection.
  std::chrono::milliseconds heartbeat_timeout_ms{6'000};
  /// Pause before a lost or refused connection is tried again.
  std::chrono::milliseconds reconnect_ms{100};
  /// How long one attempt to connect may take, ZeroMQ's own handshake included.
  std::chrono::milliseconds connect_timeout_ms{5'000};
};

struct ZmqCounters {
  std::uint64_t malformed_messages = 0;  ///< wrong number of frames, or no delimiter
  std::uint64_t refused_keys = 0;        ///< unknown, of another role, or cut off
  std::uint64_t failed_handshakes = 0;   ///< at a bound socket: not even a key to judge
  std::uint64_t stolen_identities = 0;   ///< messages under an identity of another key's
  std::uint64_t cut_off_messages = 0;    ///< from routes that were cut off
};

class ZmqEnvironment;

/// Owns the ZeroMQ context and its I/O thread. On the loop, destructor included; or after the loop
/// has stopped. The destructor waits for lingering messages: at most linger_ms.
class ZmqNetwork final : public Network {
 public:
  explicit ZmqNetwork(Reactor& reactor, ZmqOptions options = {});
  ~ZmqNetwork() override;

  StatusOr<std::unique_ptr<Server>> bind_server(const std::string& endpoint,
                                                Server::Handler handler) override;
  StatusOr<std::unique_ptr<Client>> connect_client(const std::string& endpoint,
                                                   const std::string& identity,
                                                   Client::Handler handler) override;
  StatusOr<std::unique_ptr<Push>> connect_push(const std::string& endpoint) override;
  StatusOr<std::unique_ptr<Pull>> bind_pull(const std::string& endpoint,
                                            Pull::Handler handler) override;

  const ZmqCounters& counters() const;

 private:
  const std::unique_ptr<ZmqEnvironment> environment_;
};

}  // namespace baton::control
