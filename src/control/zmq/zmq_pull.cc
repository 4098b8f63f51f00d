#include "src/control/zmq/zmq_pull.h"

#include <utility>

namespace baton::control {

using zmq_detail::ConnectionWatch;
using zmq_detail::Message;
using zmq_detail::MessagePump;
using zmq_detail::SocketKind;

StatusOr<std::unique_ptr<Pull>> ZmqPull::bind(ZmqEnvironment& environment,
                                              const std::string& endpoint, Handler handler) {
  auto socket = environment.open_bound(SocketKind::kPull, KeyGuard::kPullDomain, endpoint);
  if (!socket.ok()) {
    return socket.status();
  }
  auto watch = environment.watch_strangers(*socket);
  if (!watch.ok()) {
    return watch.status();
  }
  std::string bound_endpoint = socket->last_endpoint();
  auto pump = MessagePump::start(
      environment.reactor, *std::move(socket),
      {.on_message = [handler = std::move(handler), &environment](const Message& message) mutable {
        if (message.frames.size() == 1 && environment.guard.knows(message.user)) {
          handler(message.frames[0]);
        } else {
          ++environment.counters.malformed_messages;
        }
      }});
  return std::unique_ptr<Pull>(
      new ZmqPull(std::move(bound_endpoint), std::move(pump), *std::move(watch)));
}

ZmqPull::ZmqPull(std::string endpoint, std::shared_ptr<MessagePump> pump,
                 std::unique_ptr<ConnectionWatch> watch)
    : endpoint_(std::move(endpoint)), pump_(std::move(pump)), watch_(std::move(watch)) {}

ZmqPull::~ZmqPull() {
  pump_->socket().stop_monitor();
  pump_->stop();
}

}  // namespace baton::control
