// The sender's part in opening one stream.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "src/transport/tcp/opening.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/tcp/watched_socket.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// connecting → greeting → proving → over; docs/protocol-tcp.md has every transition.
class OutboundOpening {
 public:
  /// The open socket, or why there is none. Called once, last: may destroy the OutboundOpening.
  using Opened = absl::AnyInvocable<void(StatusOr<UniqueFd> socket)>;

  /// `fd` comes from start_connect(). `secret` outlives the opening.
  OutboundOpening(Reactor& reactor, const TcpOptions& options, UniqueFd fd, const Hello& hello,
                  const Secret& secret, Opened opened);

 private:
  enum class State : std::uint8_t { kConnecting, kGreeting, kProving };

  void on_ready();
  /// True when the stream is open.
  StatusOr<bool> step();
  Status greet();
  Status read_challenge();
  Status prove(const Challenge& challenge);
  StatusOr<bool> read_verdict();
  /// True when the message is whole; then the next one begins.
  StatusOr<bool> receive(std::span<std::byte> message);
  Status say(std::span<const std::byte> message);

  const Hello hello_;
  const Secret& secret_;
  Opened opened_;
  State state_ = State::kConnecting;
  ChallengeBytes challenge_{};
  VerdictBytes verdict_{};
  std::size_t received_bytes_ = 0;
  WatchedSocket socket_;  // after what its watch refers to
};

}  // namespace baton::transport::tcp
