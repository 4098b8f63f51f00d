// What becomes of a socket's connections, from libzmq's monitor.
#pragma once

#include <absl/functional/any_invocable.h>

#include <memory>
#include <string>
#include <string_view>

#include "src/base/scheduler.h"
#include "src/control/zmq/message_pump.h"
#include "src/control/zmq/socket.h"

namespace baton::control::zmq_detail {

/// Stop it before the socket that it watches is closed.
class ConnectionWatch {
 public:
  using OnEvent = absl::AnyInvocable<void(ConnectionEvent event)>;

  static StatusOr<std::unique_ptr<ConnectionWatch>> start(Context& context, Reactor& reactor,
                                                          Socket& watched, OnEvent on_event);
  ~ConnectionWatch() { monitor_->stop(); }
  ConnectionWatch(const ConnectionWatch&) = delete;
  ConnectionWatch& operator=(const ConnectionWatch&) = delete;

 private:
  explicit ConnectionWatch(std::shared_ptr<MessagePump> monitor) : monitor_(std::move(monitor)) {}

  const std::shared_ptr<MessagePump> monitor_;
};

/// What `event` says of a peer that this process connects to; empty if nothing is wrong.
/// `with_keys`: this side uses CURVE.
std::string trouble_text(ConnectionEvent event, bool with_keys);

}  // namespace baton::control::zmq_detail
