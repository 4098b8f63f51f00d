// The sender's end of a connection: its line, its rails, and the batches that are spread over them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "src/transport/tcp/batch_ledger.h"
#include "src/transport/tcp/dialer.h"
#include "src/transport/tcp/outbound_opening.h"
#include "src/transport/ucx/line.h"
#include "src/transport/ucx/rail.h"

namespace baton::transport::ucx {

/// opening → awaiting the welcome → wiring → open → closed; docs/protocol-ucx.md has every
/// transition. Open when all rails are; ended as a whole by the end of any, or of the line.
class OutboundRails final : public tcp::Outbound, private RailOwner {
 public:
  /// A rail for each context, or fewer if the receiver has fewer.
  OutboundRails(Reactor& reactor, const UcxOptions& options,
                const std::vector<std::unique_ptr<Context>>& contexts, tcp::Call call);
  ~OutboundRails() override;
  OutboundRails(const OutboundRails&) = delete;
  OutboundRails& operator=(const OutboundRails&) = delete;

  bool is_open() const override { return open_; }
  void write_batch(const std::vector<WriteOp>& ops, Status verdict, Done done) override;
  void read_batch(const std::vector<ReadOp>& ops, Status verdict, Done done) override;
  void close(const Status& why) override;

 private:
  void on_rail_completed() override;
  void on_rail_ended(const Status& why) override { fail(why); }

  void on_opened(StatusOr<UniqueFd> socket);
  Status take_welcome(std::string_view message);
  void open_if_wired();
  template <typename Op>
  void move_batch(const std::vector<Op>& ops, Status verdict, Done done);
  template <typename Op>
  bool fits(const std::vector<Op>& ops) const;
  template <typename Op>
  tcp::BatchLedger::Sequences push(const std::vector<Op>& ops);
  void finish_batches();
  void post(std::vector<tcp::BatchLedger::Finished> batches);
  void fail(const Status& why);

  Reactor& reactor_;
  const UcxOptions& options_;
  const std::vector<std::unique_ptr<Context>>& contexts_;
  const tcp::Hello hello_;
  const Secret secret_;
  Done connected_;  // null once answered
  Ended ended_;
  TimerId deadline_timer_;
  bool open_ = false;
  Rail::Target target_;
  tcp::BatchLedger batches_;
  std::optional<tcp::OutboundOpening> opening_;
  std::unique_ptr<Line> line_;
  std::vector<std::unique_ptr<Rail>> rails_;
};

}  // namespace baton::transport::ucx
