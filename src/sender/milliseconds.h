// Durations in messages.
#pragma once

#include <chrono>
#include <cstdint>

#include "src/base/scheduler.h"

namespace baton::sender {

inline std::int64_t to_ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace baton::sender
