// The seam for control messages: small, ordered, untrusted byte strings between processes.
//
// Shapes follow LMCache's sockets: a server that answers by route (ROUTER), a client that talks to
// one server (DEALER standing in for REQ), and a one-way push to the proxy (PUSH → PULL).
// Nothing here knows what a message means.
//
// Threads: every method on the loop; handlers come in turns of their own there. Destroying an
// object ends it at once (finite linger), and no handler runs afterwards.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "baton/status.h"

namespace baton::control {

/// Who sent a message, and the way to answer: the peer socket's identity.
using Route = std::string;

class Server {
 public:
  using Handler = absl::AnyInvocable<void(const Route& from, std::string_view payload)>;
  virtual ~Server() = default;
  /// kUnavailable if the route is gone or its queue is full; never blocks.
  virtual Status send(const Route& to, std::string_view payload) = 0;
  /// For who sends rubbish: from now on nothing of that route reaches the handler, and a network
  /// with keys refuses the sender's key for a while. Forgotten once kMaxCutOff others came after.
  static constexpr std::size_t kMaxCutOff = 1024;
  virtual void cut_off(const Route& from) = 0;
  /// The endpoint really bound: "tcp://127.0.0.1:34567" (port 0 asks for any).
  virtual std::string endpoint() const = 0;
};

class Client {
 public:
  using Handler = absl::AnyInvocable<void(std::string_view payload)>;
  virtual ~Client() = default;
  /// Queues the message, also while the connection is still being made; kUnavailable when the
  /// queue is full. Never blocks.
  virtual Status send(std::string_view payload) = 0;
  /// What is known of why there is no connection, for the message of who waits in vain: "it
  /// refused this process's key …". Empty while nothing is.
  virtual std::string trouble() const { return {}; }
};

/// One-way, at most once: a message that can't be handed to a connected peer is not queued for
/// its successor.
class Push {
 public:
  virtual ~Push() = default;
  /// kUnavailable when no peer is connected now.
  virtual Status send(std::string_view payload) = 0;
  /// Grows by one each time a connection to a peer was lost. Equal numbers at two moments mean
  /// that the same incarnation of the peer was (or none was yet) behind the socket at both.
  virtual std::uint64_t incarnation() const = 0;
  /// Called whenever send() may have become possible.
  using Writable = absl::AnyInvocable<void()>;
  virtual void set_writable(Writable writable) = 0;
};

/// Receives what Push objects send; the proxy's end.
class Pull {
 public:
  using Handler = absl::AnyInvocable<void(std::string_view payload)>;
  virtual ~Pull() = default;
  virtual std::string endpoint() const = 0;
};

/// Makes the above. Endpoints are ZeroMQ's: "tcp://host:port" (or any name, in process).
/// Everything made must be destroyed before the network.
class Network {
 public:
  virtual ~Network() = default;
  virtual StatusOr<std::unique_ptr<Server>> bind_server(const std::string& endpoint,
                                                        Server::Handler handler) = 0;
  /// `identity`: "<kind>-<epoch>-<anything>", at most 255 bytes, unique per live client of a
  /// server. With keys, what stands before the second '-' belongs to the key that used it first.
  virtual StatusOr<std::unique_ptr<Client>> connect_client(const std::string& endpoint,
                                                           const std::string& identity,
                                                           Client::Handler handler) = 0;
  virtual StatusOr<std::unique_ptr<Push>> connect_push(const std::string& endpoint) = 0;
  virtual StatusOr<std::unique_ptr<Pull>> bind_pull(const std::string& endpoint,
                                                    Pull::Handler handler) = 0;
};

}  // namespace baton::control
