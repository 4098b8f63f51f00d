// Drives one ZeroMQ socket on the loop.
#pragma once

#include <absl/functional/any_invocable.h>

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/scheduler.h"
#include "src/control/zmq/socket.h"

namespace baton::control::zmq_detail {

struct Message {
  std::span<const std::string> frames;
  std::string_view user;  ///< the sender's key, where there are keys
};

/// `on_writable` may be null; it runs in a turn of its own once a send that failed may succeed.
struct PumpConfig {
  /// Longer messages arrive cut to this many frames; the others are dropped as they are read.
  std::size_t max_frames = 4;
  absl::AnyInvocable<void(const Message& message)> on_message = nullptr;
  absl::AnyInvocable<void()> on_writable = nullptr;
};

/// Reads whole messages, a bounded number of frames a turn so that a chatty peer starves nobody,
/// and loses no edge of the socket's descriptor.
///
/// A turn under way keeps the pump, and so the running callback, alive: the owner may stop() and
/// let go from inside the callback. All on the loop.
class MessagePump : public std::enable_shared_from_this<MessagePump> {
 public:
  static constexpr int kFramesPerTurn = 128;

  static std::shared_ptr<MessagePump> start(Reactor& reactor, Socket socket, PumpConfig config);
  ~MessagePump() { stop(); }
  MessagePump(const MessagePump&) = delete;
  MessagePump& operator=(const MessagePump&) = delete;

  /// Closes the socket; no callback begins afterwards. Idempotent.
  void stop();
  /// As Socket::send.
  int send(std::initializer_list<std::string_view> frames);
  /// For what needs no turn afterwards. Not after stop().
  Socket& socket() { return socket_; }

 private:
  MessagePump(Reactor& reactor, Socket socket, PumpConfig config);

  void take_turn();
  void read_messages();
  void schedule_turn();

  Reactor& reactor_;
  Socket socket_;
  const int fd_;
  PumpConfig config_;
  // The message being read; may span turns.
  std::vector<std::string> frames_;
  std::string user_;
  bool turn_scheduled_ = false;
  bool send_blocked_ = false;
  bool stopped_ = false;
};

}  // namespace baton::control::zmq_detail
