// The sender's end of one connection.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/transport/tcp/frames.h"
#include "src/transport/tcp/send_queue.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/tcp/watched_socket.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// connecting → greeting → open → closed; docs/protocol-tcp.md has every transition. Local memory
/// is read inside sendmsg() only, so nothing touches it once this is closed.
class Outbound {
 public:
  /// The connection ended by itself. Called last: it may destroy the Outbound.
  using Ended = absl::AnyInvocable<void(const Status& why, bool was_open)>;

  /// `fd` comes from start_connect(). `connected` is called in a turn of its own.
  Outbound(Reactor& reactor, const TcpOptions& options, UniqueFd fd, const Hello& hello,
           TimePoint deadline, Done connected, Ended ended);
  ~Outbound() { close(absl::CancelledError(std::string("destroyed"))); }
  Outbound(const Outbound&) = delete;
  Outbound& operator=(const Outbound&) = delete;

  bool is_open() const { return state_ == State::kOpen; }
  /// When open only.
  void write_batch(std::vector<WriteOp> ops, Status verdict, Done done);
  /// What is pending gets `why`; Ended is not called. Idempotent.
  void close(const Status& why);

 private:
  enum class State : std::uint8_t { kConnecting, kGreeting, kOpen, kClosed };

  void on_ready(std::uint32_t events);
  Status step(std::uint32_t events);
  Status greet();
  Status read_answer();
  Status read_acks();
  Status send_slice();
  void finish_batches();
  void want_events();
  void fail(const Status& why);

  Reactor& reactor_;
  const TcpOptions& options_;
  const Hello hello_;
  State state_ = State::kConnecting;
  WatchedSocket socket_;
  TimerId deadline_timer_;
  Done connected_;
  Ended ended_;
  SendQueue queue_;
  AnswerBytes answer_{};
  AckBytes ack_{};
  std::size_t received_bytes_ = 0;  // of answer_, then of ack_
};

}  // namespace baton::transport::tcp
