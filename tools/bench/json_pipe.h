// One end of a channel between two processes of the benchmark.
#pragma once

#include <chrono>

#include "src/base/unique_fd.h"
#include "tools/bench/json.h"
#include "tools/demo/line_buffer.h"

namespace baton::bench {

using Clock = std::chrono::steady_clock;

/// One JSON value a line, over a socketpair. One thread.
class JsonPipe {
 public:
  explicit JsonPipe(UniqueFd socket) : socket_(std::move(socket)) {}

  enum class End { kNone, kPeerGone, kTimeout, kInterrupted };

  /// False if the other process is gone.
  bool send(const Json& value);
  /// The next value; `end` says why there is none. Interrupted as soon as `interrupt_fd` (if not
  /// -1) is readable.
  Json receive(Clock::time_point deadline, int interrupt_fd, End& end);

  int fd() const { return socket_.get(); }

 private:
  UniqueFd socket_;
  demo::LineBuffer lines_;
};

}  // namespace baton::bench
