// Answers to callers come in a turn of their own.
#pragma once

#include <utility>

#include "src/transport/transport.h"

namespace baton::transport::shm {

inline void answer_later(Scheduler& scheduler, Done done, Status status) {
  scheduler.post(
      [done = std::move(done), status = std::move(status)]() mutable { done(std::move(status)); });
}

}  // namespace baton::transport::shm
