// The stream beside the rails: it opens them, and it tells each side that the other is there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/transport/tcp/pulse.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/tcp/watched_socket.h"

namespace baton::transport::ucx {

/// Messages of bounded size over an open stream of the tcp plane; docs/protocol-ucx.md has the
/// bytes. Says that it is there where it has nothing else to say. On the loop only.
class Line {
 public:
  struct Actions {
    /// Not heartbeats. An error ends the line. Must not destroy the Line.
    absl::AnyInvocable<Status(std::string_view message)> receive;
    /// The line ended by itself. Called last: may destroy the Line.
    absl::AnyInvocable<void(const Status& why)> end;
  };

  /// `max_message_bytes`: longer messages of the peer's end the line.
  Line(Reactor& reactor, const TcpOptions& options, UniqueFd socket, std::size_t max_message_bytes,
       Actions actions);
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  void send(std::string_view message);

 private:
  void on_ready(std::uint32_t events);
  Status read_messages();
  StatusOr<std::size_t> wanted_bytes() const;
  Status take();
  Status write_unsent();
  void push(std::string_view message);
  void beat();
  void end(const Status& why);

  Actions actions_;
  const std::size_t max_message_bytes_;
  std::string incoming_;            // the message that is arriving, with its length
  std::size_t incoming_bytes_ = 0;  // that have arrived of it
  std::string unsent_;              // one message of the owner's and one heartbeat at most
  tcp::WatchedSocket socket_;
  tcp::Pulse pulse_;
};

}  // namespace baton::transport::ucx
