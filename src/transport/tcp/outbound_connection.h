// The sender's end of a connection: its streams, and the batches that are spread over them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "src/transport/tcp/batch_ledger.h"
#include "src/transport/tcp/dialer.h"
#include "src/transport/tcp/outbound_stream.h"

namespace baton::transport::tcp {

/// Open when all of its streams are; ended as a whole by the end of any.
class OutboundConnection final : public Outbound, private OutboundStreamOwner {
 public:
  OutboundConnection(Reactor& reactor, const TcpOptions& options, Call call);
  ~OutboundConnection() override;
  OutboundConnection(const OutboundConnection&) = delete;
  OutboundConnection& operator=(const OutboundConnection&) = delete;

  bool is_open() const override { return open_streams_ == streams_.size(); }
  void write_batch(const std::vector<WriteOp>& ops, Status verdict, Done done) override;
  void read_batch(const std::vector<ReadOp>& ops, Status verdict, Done done) override;
  void close(const Status& why) override;

 private:
  void on_stream_open() override;
  void on_stream_progressed() override { finish_batches(); }
  void on_stream_ended(const Status& why) override { fail(why); }

  /// Of both: the acknowledged writes of each stream, then the reads of each.
  BatchLedger::Sequences send(const std::vector<WriteOp>& ops);
  BatchLedger::Sequences ask_for(const std::vector<ReadOp>& ops);
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
