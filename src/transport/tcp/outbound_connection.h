// The sender's end of a connection: its streams, and the batches that are spread over them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "src/transport/tcp/batch_ledger.h"
#include "src/transport/tcp/outbound_stream.h"

namespace baton::transport::tcp {

/// Open when all of its streams are; ended as a whole by the end of any.
class OutboundConnection final : private OutboundStreamOwner {
 public:
  /// The connection ended by itself. Called last: it may destroy the OutboundConnection.
  using Ended = absl::AnyInvocable<void(const Status& why, bool was_open)>;

  /// A socket of start_connect() for each stream, at least one. `hello` is that of stream 0.
  /// `connected` is called in a turn of its own.
  OutboundConnection(Reactor& reactor, const TcpOptions& options, std::vector<UniqueFd> sockets,
                     Hello hello, const Secret& secret, TimePoint deadline, Done connected,
                     Ended ended);
  ~OutboundConnection() override;
  OutboundConnection(const OutboundConnection&) = delete;
  OutboundConnection& operator=(const OutboundConnection&) = delete;

  bool is_open() const { return open_streams_ == streams_.size(); }
  /// When open only. A batch whose `verdict` is not OK sends nothing, and keeps its place.
  void write_batch(const std::vector<WriteOp>& ops, Status verdict, Done done);
  /// What is pending gets `why`; Ended is not called. Idempotent.
  void close(const Status& why);

 private:
  void on_stream_open() override;
  void on_stream_acknowledged() override { finish_batches(); }
  void on_stream_ended(const Status& why) override { fail(why); }

  BatchLedger::Sequences send(const std::vector<WriteOp>& ops);
  void finish_batches();
  void post(std::vector<BatchLedger::Finished> batches);
  void fail(const Status& why);

  Reactor& reactor_;
  const TcpOptions& options_;
  const Secret secret_;
  Done connected_;  // null once answered
  Ended ended_;
  TimerId deadline_timer_;
  BatchLedger batches_;
  std::size_t open_streams_ = 0;
  std::vector<std::unique_ptr<OutboundStream>> streams_;
};

}  // namespace baton::transport::tcp
