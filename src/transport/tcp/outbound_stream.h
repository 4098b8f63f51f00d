// The sender's end of one stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "src/transport/tcp/frames.h"
#include "src/transport/tcp/opening.h"
#include "src/transport/tcp/pulse.h"
#include "src/transport/tcp/send_queue.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/tcp/watched_socket.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

class OutboundStreamOwner {
 public:
  virtual ~OutboundStreamOwner() = default;
  virtual void on_stream_open() = 0;
  /// Parts are acknowledged that were not before.
  virtual void on_stream_acknowledged() = 0;
  /// The stream ended by itself. Called last: it may destroy the stream.
  virtual void on_stream_ended(const Status& why) = 0;
};

/// connecting → greeting → proving → open → closed; docs/protocol-tcp.md has every transition.
/// Local memory is read inside sendmsg() only, so nothing touches it once this is closed.
class OutboundStream {
 public:
  /// `fd` comes from start_connect(). `secret` and `owner` outlive the stream; the owner is called
  /// from the loop, never from inside a call of it.
  OutboundStream(Reactor& reactor, const TcpOptions& options, UniqueFd fd, const Hello& hello,
                 const Secret& secret, OutboundStreamOwner& owner);
  OutboundStream(const OutboundStream&) = delete;
  OutboundStream& operator=(const OutboundStream&) = delete;

  bool is_open() const { return state_ == State::kOpen; }
  const SendQueue& queue() const { return queue_; }

  /// When open only; as SendQueue::push().
  std::uint64_t send_part(std::vector<WriteOp> ops);
  /// The owner is not called any more. Idempotent.
  void close();

 private:
  enum class State : std::uint8_t { kConnecting, kGreeting, kProving, kOpen, kClosed };

  void on_ready(std::uint32_t events);
  Status step(std::uint32_t events);
  Status greet();
  Status read_challenge();
  Status prove(const Challenge& challenge);
  Status read_verdict();
  void open();
  Status read_words();
  Status take_word(const Word& word);
  Status send_slice();
  void beat();
  void want_events();
  void end(const Status& why);
  /// True when the message is whole; then the next one begins.
  StatusOr<bool> receive(std::span<std::byte> message);
  Status say(std::span<const std::byte> message);

  Reactor& reactor_;
  const TcpOptions& options_;
  const Hello hello_;
  const Secret& secret_;
  OutboundStreamOwner& owner_;
  State state_ = State::kConnecting;
  SendQueue queue_;
  ChallengeBytes challenge_{};
  WordBytes word_{};  // a verdict has as many bytes
  std::size_t received_bytes_ = 0;
  WatchedSocket socket_;
  std::optional<Pulse> pulse_;  // when open
};

}  // namespace baton::transport::tcp
