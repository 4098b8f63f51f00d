// The sender's end of a connection: its line, its agent, and the batches that go by it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/memory/registered_buffer.h"
#include "src/transport/nixl/agent.h"
#include "src/transport/nixl/nixl_options.h"
#include "src/transport/nixl/transfers.h"
#include "src/transport/nixl/welcome.h"
#include "src/transport/nixl/workshop.h"
#include "src/transport/tcp/dialer.h"
#include "src/transport/tcp/outbound_opening.h"
#include "src/transport/ucx/line.h"

namespace baton::transport::nixl {

/// opening → awaiting the welcome → probing → open → closed; docs/protocol-nixl.md has every
/// transition.
class OutboundAgent final : public tcp::Outbound {
 public:
  OutboundAgent(Reactor& reactor, Workshop& workshop, const NixlOptions& options,
                const AgentOptions& agent_options, std::string name, const RegisteredBuffer& buffer,
                tcp::Call call);
  ~OutboundAgent() override;
  OutboundAgent(const OutboundAgent&) = delete;
  OutboundAgent& operator=(const OutboundAgent&) = delete;

  bool is_open() const override { return open_; }
  void write_batch(const std::vector<WriteOp>& ops, Status verdict, Done done) override {
    move_batch(Direction::kWrite, ops, std::move(verdict), std::move(done));
  }
  void read_batch(const std::vector<ReadOp>& ops, Status verdict, Done done) override {
    move_batch(Direction::kRead, ops, std::move(verdict), std::move(done));
  }
  void close(const Status& why) override;

 private:
  /// The line, and whom it tells: it may outlive the OutboundAgent, until its agent is destroyed.
  struct Link {
    OutboundAgent* owner = nullptr;  ///< null once that is closed
    std::unique_ptr<ucx::Line> line;
  };
  struct Burial;

  void on_opened(StatusOr<UniqueFd> socket);
  Status take_welcome(std::string_view message);
  void on_made(Workshop::MadeAgent&& agent);
  void probe();
  void on_probed();
  template <typename Op>
  void move_batch(Direction direction, const std::vector<Op>& ops, Status verdict, Done done);
  template <typename Op>
  bool fits(const std::vector<Op>& ops) const;
  template <typename Op>
  Batch batch_of(const std::vector<Op>& ops) const;
  void fail(const Status& why);

  Reactor& reactor_;
  Workshop& workshop_;
  const NixlOptions& options_;
  const AgentOptions agent_options_;
  const std::string name_;
  const RegisteredBuffer& buffer_;
  const tcp::Hello hello_;
  const Secret secret_;
  Done connected_;  // null once answered
  Ended ended_;
  TimerId deadline_timer_;
  bool open_ = false;
  std::optional<Welcome> target_;
  std::optional<tcp::OutboundOpening> opening_;
  std::unique_ptr<Link> link_;  ///< once opened, until closed
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<Transfers> transfers_;
  Lifetime lifetime_;
};

}  // namespace baton::transport::nixl
