// What the logics of two processes tell each other over the socket of their shm connection.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "baton/status.h"
#include "src/transport/shm/shm_messages.h"
#include "src/transport/shm/watched_fd.h"

namespace baton::transport::shm {

/// Cuts messages into packets and puts them together again; docs/protocol-shm.md, "Messages of the
/// logics". What the socket has no room for waits here, bounded, until it has. On the loop.
class Lane {
 public:
  /// `socket` outlives the lane, and is watched for EPOLLIN when it first sends.
  Lane(WatchedFd& socket, std::size_t max_message_bytes)
      : socket_(socket), max_message_bytes_(max_message_bytes) {}

  /// kUnavailable if the connection is gone, or a whole longest message waits already;
  /// kInvalidArgument for one that is too long, or empty.
  Status send(std::string_view message);
  /// The socket has room again.
  void flush();

  /// The message, if this was its last part. kDataLoss if it breaks the rules.
  StatusOr<std::optional<std::string>> take(const MessagePart& part);

 private:
  /// How many of its bytes found room; the parts say how many are left.
  StatusOr<std::size_t> send_parts(std::string_view message);
  /// The socket is watched for room while something waits.
  void want_room();

  WatchedFd& socket_;
  const std::size_t max_message_bytes_;
  bool has_room_ = false;            // make_room_for_bulk() was called
  std::deque<std::string> waiting_;  // what is unsent of messages, in order
  std::size_t waiting_bytes_ = 0;
  std::string incoming_;
  std::size_t expected_bytes_ = 0;  // still, of the message that is coming in
};

}  // namespace baton::transport::shm
