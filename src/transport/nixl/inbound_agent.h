// The receiver's end of a connection: an agent for this one peer.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "src/base/lifetime.h"
#include "src/memory/registered_buffer.h"
#include "src/transport/nixl/agent.h"
#include "src/transport/nixl/nixl_options.h"
#include "src/transport/nixl/notifications.h"
#include "src/transport/nixl/welcome.h"
#include "src/transport/nixl/workshop.h"
#include "src/transport/tcp/gate.h"
#include "src/transport/ucx/line.h"

namespace baton::transport::nixl {

/// The peer writes and reads without help of the loop, and asks nobody. The agent is there only
/// while the line is; its end is the fence.
class InboundAgent final : public tcp::Inbound {
 public:
  /// Called once: takes the agent over at its end, or null if none could be made. It may come after
  /// the InboundAgent's end, when the agent is made only then.
  using Retire = std::function<void(std::unique_ptr<Agent> agent)>;

  InboundAgent(Reactor& reactor, Workshop& workshop, const NixlOptions& options,
               const AgentOptions& agent_options, std::string name, const RegisteredBuffer& buffer,
               UniqueFd socket, const tcp::Hello& hello, const Secret& secret, Retire retire,
               Ended ended);
  ~InboundAgent() override { retire(); }
  InboundAgent(const InboundAgent&) = delete;
  InboundAgent& operator=(const InboundAgent&) = delete;

 private:
  void on_made(Workshop::MadeAgent agent);
  StatusOr<Welcome> describe();
  void retire();
  void end(const Status& health);

  Reactor& reactor_;
  const RegisteredBuffer& buffer_;
  const tcp::Hello hello_;
  const Secret secret_;
  Retire retire_;
  Ended ended_;
  std::unique_ptr<Agent> agent_;
  std::optional<NotificationDrain> notifications_;  ///< while it has an agent
  std::unique_ptr<ucx::Line> line_;
  Lifetime lifetime_;
};

}  // namespace baton::transport::nixl
