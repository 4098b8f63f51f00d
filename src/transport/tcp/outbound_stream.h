// The sender's end of one stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "src/transport/tcp/frames.h"
#include "src/transport/tcp/outbound_opening.h"
#include "src/transport/tcp/pulse.h"
#include "src/transport/tcp/read_queue.h"
#include "src/transport/tcp/send_queue.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/tcp/watched_socket.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

class OutboundStreamOwner {
 public:
  virtual ~OutboundStreamOwner() = default;
  virtual void on_stream_open() = 0;
  /// Parts are acknowledged, or reads complete, that were not before.
  virtual void on_stream_progressed() = 0;
  /// The stream ended by itself. Called last: it may destroy the stream.
  virtual void on_stream_ended(const Status& why) = 0;
};

/// opening → open → closed; docs/protocol-tcp.md has every transition.
/// Local memory is read inside sendmsg() and written inside recv() only, so nothing touches it once
/// this is closed.
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
  const ReadQueue& reads() const { return reads_; }

  /// When open only; as SendQueue::push().
  std::uint64_t send_part(std::vector<WriteOp> ops);
  /// When open only; as ReadQueue::push().
  std::uint64_t read_part(const std::vector<ReadOp>& ops);
  /// The owner is not called any more. Idempotent.
  void close();

 private:
  enum class State : std::uint8_t { kOpening, kOpen, kClosed };

  void on_opened(StatusOr<UniqueFd> socket);
  void on_ready(std::uint32_t events);
  Status step(std::uint32_t events);
  Status receive_slice();
  StatusOr<std::size_t> receive_word();
  StatusOr<std::size_t> receive_data(std::size_t max_bytes);
  void ask_for_reads();
  Status take_word(const Word& word);
  Status send_slice();
  void beat();
  void want_events();
  void end(const Status& why);

  Reactor& reactor_;
  const TcpOptions& options_;
  OutboundStreamOwner& owner_;
  State state_ = State::kOpening;
  SendQueue queue_;
  ReadQueue reads_;
  WordBytes word_{};
  std::size_t received_bytes_ = 0;  // of word_
  std::optional<OutboundOpening> opening_;
  std::optional<WatchedSocket> socket_;  // when open
  std::optional<Pulse> pulse_;           // when open
};

}  // namespace baton::transport::tcp
