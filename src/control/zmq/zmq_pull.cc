#include "src/control/zmq/zmq_pull.h"

#include <span>
#include <utility>

namespace baton::control {

using zmq_detail::MessagePump;
using zmq_detail::Socket;
using zmq_detail::SocketKind;

StatusOr<std::unique_ptr<Pull>> ZmqPull::bind(ZmqEnvironment& environment,
                                              const std::string& endpoint, Handler handler) {
  auto socket = Socket::open(environment.context, SocketKind::kPull, environment.options);
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
                                   if (frames.size() == 1) {
                                     handler(frames[0]);
                                   } else {
                                     ++counters.malformed_messages;
                                   }
                                 });
  return std::unique_ptr<Pull>(new ZmqPull(std::move(bound_endpoint), std::move(pump)));
}

ZmqPull::ZmqPull(std::string endpoint, std::shared_ptr<MessagePump> pump)
    : endpoint_(std::move(endpoint)), pump_(std::move(pump)) {}

}  // namespace baton::control
