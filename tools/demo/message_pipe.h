// The blocking end of a channel between two processes of the demo.
#pragma once

#include <chrono>
#include <optional>

#include "src/base/thread_annotations.h"
#include "src/base/unique_fd.h"
#include "tools/demo/line_buffer.h"
#include "tools/demo/messages.h"

namespace baton::demo {

using Clock = std::chrono::steady_clock;

inline double ms_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - begin).count();
}
inline double ms_since(Clock::time_point begin) {
  return ms_between(begin, Clock::now());
}

/// One end of a socketpair. send() from any thread; receive() from one.
class MessagePipe {
 public:
  explicit MessagePipe(UniqueFd socket);

  /// kUnavailable when the other process is gone, or has read nothing for half a minute.
  Status send(const Message& message);

  /// The next message. kUnavailable at the end of the stream, kDeadlineExceeded, kDataLoss;
  /// kCancelled as soon as `interrupt_fd` (if not -1) is readable.
  StatusOr<Message> receive(Clock::time_point deadline, int interrupt_fd = -1);

  /// The same, and it must be a T. A Failure comes back as kAborted with its text.
  template <typename T>
  StatusOr<T> receive_a(Clock::time_point deadline, int interrupt_fd = -1) {
    auto message = receive(deadline, interrupt_fd);
    if (!message.ok()) {
      return message.status();
    }
    if (T* wanted = std::get_if<T>(&*message)) {
      return std::move(*wanted);
    }
    if (const auto* failure = std::get_if<Failure>(&*message)) {
      return absl::AbortedError(failure->message);
    }
    return absl::DataLossError(
        std::string("a message out of turn from another process of the demo"));
  }

  /// For a LoopChannel to take over, when everything that was sent to us has been received.
  UniqueFd take_socket() { return std::move(socket_); }

 private:
  Status wait_readable(Clock::time_point deadline, int interrupt_fd) const;

  UniqueFd socket_;
  LineBuffer lines_;
  Mutex send_mutex_;  // whole lines only
};

}  // namespace baton::demo
