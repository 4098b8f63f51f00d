// The event-driven end of a channel between two processes of the demo.
#pragma once

#include <absl/functional/any_invocable.h>

#include <string>

#include "src/base/scheduler.h"
#include "src/base/unique_fd.h"
#include "tools/demo/line_buffer.h"
#include "tools/demo/messages.h"

namespace baton::demo {

/// One end of a socketpair on an event loop. Never blocks: what doesn't fit waits here (the run's
/// window of open requests bounds it). All on the loop, destructor included.
class LoopChannel {
 public:
  using OnMessage = absl::AnyInvocable<void(Message)>;
  /// The end of the stream, or nonsense in it; once, after the last message.
  using OnEnd = absl::AnyInvocable<void(const Status& why)>;

  LoopChannel(Reactor& reactor, UniqueFd socket, OnMessage on_message, OnEnd on_end);
  ~LoopChannel();
  LoopChannel(const LoopChannel&) = delete;
  LoopChannel& operator=(const LoopChannel&) = delete;

  void send(const Message& message);

 private:
  void on_ready(std::uint32_t events);
  void read_some();
  void write_some();
  void end(const Status& why);

  Reactor& reactor_;
  UniqueFd socket_;
  OnMessage on_message_;
  OnEnd on_end_;
  LineBuffer lines_;
  std::string unsent_;
  bool ended_ = false;
};

}  // namespace baton::demo
