// What all sockets of one ZmqNetwork share.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "src/base/scheduler.h"
#include "src/control/zmq/connection_watch.h"
#include "src/control/zmq/key_guard.h"
#include "src/control/zmq/socket.h"
#include "src/control/zmq/zap_handler.h"
#include "src/control/zmq/zmq_network.h"

namespace baton::control {

class ZmqEnvironment {
 public:
  ZmqEnvironment(Reactor& reactor_in, ZmqOptions options_in)
      : reactor(reactor_in), options(std::move(options_in)), guard(options.credentials) {}

  /// A bound socket which, where there are keys, admits only those of the domain. The name that it
  /// got is its last_endpoint().
  StatusOr<zmq_detail::Socket> open_bound(zmq_detail::SocketKind kind, std::string_view zap_domain,
                                          const std::string& endpoint);
  /// A socket yet to be connected to `endpoint`, with the key that the `server` there must have.
  StatusOr<zmq_detail::Socket> open_client(zmq_detail::SocketKind kind, security::KeyRole server,
                                           const std::string& endpoint);
  /// Whether connections to `server` use keys.
  bool has_keys(security::KeyRole server) const;
  /// Counts and logs those who don't get through the handshake at a bound socket.
  StatusOr<std::unique_ptr<zmq_detail::ConnectionWatch>> watch_strangers(zmq_detail::Socket& bound);

  Reactor& reactor;
  const ZmqOptions options;
  zmq_detail::Context context;
  ZmqCounters counters;
  KeyGuard guard;

 private:
  std::unique_ptr<ZapHandler> zap_;  // from the first bound socket on; goes before the context
};

}  // namespace baton::control
