#include "src/control/zmq/zmq_server.h"

#include <fmt/format.h>

#include <cerrno>
#include <span>
#include <utility>

#include "src/control/endpoint.h"

namespace baton::control {

using zmq_detail::MessagePump;
using zmq_detail::Socket;
using zmq_detail::SocketKind;

StatusOr<std::unique_ptr<Server>> ZmqServer::bind(ZmqEnvironment& environment,
                                                  const std::string& endpoint, Handler handler) {
  auto socket = Socket::open(environment.context, SocketKind::kRouter, environment.options);
  if (!socket.ok()) {
    return socket.status();
  }
  if (Status bound = socket->bind(endpoint); !bound.ok()) {
    return bound;
  }
  std::string bound_endpoint = socket->last_endpoint();
  auto pump = MessagePump::start(environment.reactor, *std::move(socket),
                                 [handler = std::move(handler), &counters = environment.counters](
                                     std::span<const std::string> frames) mutable {
                                   // Identity, delimiter, payload: what a REQ, or a DEALER that
                                   // poses as one, sends.
                                   if (frames.size() == 3 && frames[1].empty()) {
                                     handler(frames[0], frames[2]);
                                   } else {
                                     ++counters.malformed_messages;
                                   }
                                 });
  return std::unique_ptr<Server>(new ZmqServer(environment.options.max_message_bytes,
                                               std::move(bound_endpoint), std::move(pump)));
}

ZmqServer::ZmqServer(std::size_t max_message_bytes, std::string endpoint,
                     std::shared_ptr<MessagePump> pump)
    : max_message_bytes_(max_message_bytes),
      endpoint_(std::move(endpoint)),
      pump_(std::move(pump)) {}

Status ZmqServer::send(const Route& to, std::string_view payload) {
  if (Status valid = check_payload(payload.size(), max_message_bytes_); !valid.ok()) {
    return valid;
  }
  const int error = pump_->send({to, {}, payload});
  if (error == 0) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(fmt::format(
      "{}: can't answer a peer: {}", endpoint_,
      error == EHOSTUNREACH ? "it is not connected" : "its queue is full; it doesn't read"));
}

}  // namespace baton::control
