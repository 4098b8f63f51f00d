#include "src/control/zmq/environment.h"

#include <utility>

#include "src/base/log.h"

namespace baton::control {

using security::KeyRole;
using zmq_detail::ConnectionEvent;
using zmq_detail::ConnectionWatch;
using zmq_detail::Socket;
using zmq_detail::SocketKind;

bool ZmqEnvironment::has_keys(KeyRole server) const {
  return options.credentials != nullptr &&
         !(server == KeyRole::kProxy && options.credentials->plain_proxy);
}

StatusOr<Socket> ZmqEnvironment::open_bound(SocketKind kind, std::string_view zap_domain,
                                            const std::string& endpoint) {
  auto socket = Socket::open(context, kind, options);
  if (!socket.ok()) {
    return socket.status();
  }
  if (options.credentials != nullptr) {
    if (zap_ == nullptr) {
      auto started = ZapHandler::start(context, reactor, options, guard, counters);
      if (!started.ok()) {
        return started.status();
      }
      zap_ = *std::move(started);
    }
    if (Status locked = socket->require_keys(options.credentials->secret, zap_domain);
        !locked.ok()) {
      return locked;
    }
  }
  if (Status bound = socket->bind(endpoint); !bound.ok()) {
    return bound;
  }
  return socket;
}

StatusOr<Socket> ZmqEnvironment::open_client(SocketKind kind, KeyRole server,
                                             const std::string& endpoint) {
  auto socket = Socket::open(context, kind, options);
  if (!socket.ok() || !has_keys(server)) {
    return socket;
  }
  constexpr std::string_view kSeparator = "://";
  const std::string_view address =
      std::string_view(endpoint).substr(endpoint.find(kSeparator) + kSeparator.size());
  const auto key = options.credentials->peers.server_key(server, address);
  if (!key.ok()) {
    return key.status();
  }
  if (Status keyed = socket->use_key(options.credentials->secret, *key); !keyed.ok()) {
    return keyed;
  }
  return socket;
}

StatusOr<std::unique_ptr<ConnectionWatch>> ZmqEnvironment::watch_strangers(Socket& bound) {
  return ConnectionWatch::start(
      context, reactor, bound, [this, endpoint = bound.last_endpoint()](ConnectionEvent event) {
        // Refused keys are the ZAP handler's to count.
        if (event == ConnectionEvent::kOtherSecurity ||
            event == ConnectionEvent::kHandshakeBroken) {
          ++counters.failed_handshakes;
          log::limited_warning("a peer at {} did not get through the handshake: {}", endpoint,
                               event == ConnectionEvent::kHandshakeBroken
                                   ? "it went away, was no ZeroMQ peer, or expects another key here"
                               : options.credentials != nullptr
                                   ? "it has no key (its pd_security is none)"
                                   : "it uses keys, but pd_security is none here");
        }
      });
}

}  // namespace baton::control
