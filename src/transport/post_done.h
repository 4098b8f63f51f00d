// A callback comes in a turn of its own.
#pragma once

#include <utility>

#include "src/base/scheduler.h"
#include "src/transport/transport.h"

namespace baton::transport {

inline void post_done(Scheduler& scheduler, Done done, Status status) {
  scheduler.post(
      [done = std::move(done), status = std::move(status)]() mutable { done(std::move(status)); });
}

}  // namespace baton::transport
