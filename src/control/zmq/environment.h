// What all sockets of one ZmqNetwork share.
#pragma once

#include "src/base/scheduler.h"
#include "src/control/zmq/socket.h"
#include "src/control/zmq/zmq_network.h"

namespace baton::control {

struct ZmqEnvironment {
  ZmqEnvironment(Reactor& reactor_in, ZmqOptions options_in)
      : reactor(reactor_in), options(options_in) {}

  Reactor& reactor;
  const ZmqOptions options;
  zmq_detail::Context context;
  ZmqCounters counters;
};

}  // namespace baton::control
