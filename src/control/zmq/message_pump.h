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

/// Reads whole messages, a bounded number of frames a turn so that a chatty peer starves nobody,
/// and loses no edge of the socket's descriptor.
///
/// A turn under way keeps the pump, and so the running callback, alive: the owner may stop() and
/// let go from inside the callback. All on the loop.
class MessagePump : public std::enable_shared_from_this<MessagePump> {
 public:
  /// Longer messages arrive cut to this many frames: no socket of ours expects so many.
  static constexpr std::size_t kMaxFrames = 4;
  static constexpr int kFramesPerTurn = 128;

  using OnMessage = absl::AnyInvocable<void(std::span<const std::string> frames)>;
  using OnWritable = absl::AnyInvocable<void()>;

  /// `on_writable` may be null; it runs in a turn of its own once a send that failed may succeed.
  static std::shared_ptr<MessagePump> start(Reactor& reactor, Socket socket, OnMessage on_message,
                                            OnWritable on_writable = nullptr);
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
  MessagePump(Reactor& reactor, Socket socket, OnMessage on_message, OnWritable on_writable);

  void take_turn();
  void read_messages();
  void schedule_turn();

  Reactor& reactor_;
  Socket socket_;
  const int fd_;
  OnMessage on_message_;
  OnWritable on_writable_;
  std::vector<std::string> frames_;  // of the message being read; may span turns
  bool turn_scheduled_ = false;
  bool send_blocked_ = false;
  bool stopped_ = false;
};

}  // namespace baton::control::zmq_detail
