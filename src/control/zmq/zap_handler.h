// Answers libzmq's question whether a key may connect (ZAP, RFC 27).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "src/base/scheduler.h"
#include "src/control/zmq/key_guard.h"
#include "src/control/zmq/message_pump.h"
#include "src/control/zmq/socket.h"
#include "src/control/zmq/zmq_network.h"

namespace baton::control {

/// A ROUTER at "inproc://zeromq.zap.01" on the network's loop. Each connection asks once, in its
/// handshake, and has one question at a time: the queue is as long as there are connections.
/// While this is not there, libzmq admits nobody (ZMQ_ZAP_ENFORCE_DOMAIN).
class ZapHandler {
 public:
  static StatusOr<std::unique_ptr<ZapHandler>> start(zmq_detail::Context& context, Reactor& reactor,
                                                     const ZmqOptions& options, KeyGuard& guard,
                                                     ZmqCounters& counters);
  ~ZapHandler() { pump_->stop(); }
  ZapHandler(const ZapHandler&) = delete;
  ZapHandler& operator=(const ZapHandler&) = delete;

 private:
  ZapHandler(Reactor& reactor, KeyGuard& guard, ZmqCounters& counters)
      : reactor_(reactor), guard_(guard), counters_(counters) {}
  void answer(std::span<const std::string> question);

  Reactor& reactor_;
  KeyGuard& guard_;
  ZmqCounters& counters_;
  std::shared_ptr<zmq_detail::MessagePump> pump_;
};

}  // namespace baton::control
