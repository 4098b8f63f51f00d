#include "src/transport/nixl/inbound_agent.h"

#include <fmt/format.h>

#include <utility>

#include "src/base/log.h"
#include "src/transport/ucx/sealing.h"

namespace baton::transport::nixl {

InboundAgent::InboundAgent(Reactor& reactor, const NixlOptions& options,
                           const AgentOptions& agent_options, std::string name,
                           const RegisteredBuffer& buffer, UniqueFd socket, const tcp::Hello& hello,
                           const Secret& secret, Retire retire, Ended ended)
    : retire_(std::move(retire)), ended_(std::move(ended)) {
  const auto welcome = open(std::move(name), agent_options, buffer);
  if (!welcome.ok()) {
    log::warning("nixl: peer {} can't be served: {}", hello.sender.brief(),
                 std::string(welcome.status().message()));
    reactor.post(lifetime_.guard([this, why = welcome.status()] { end(why); }));
    return;  // The socket closes: the sender hears that much.
  }
  line_ = std::make_unique<ucx::Line>(
      reactor, options.line, std::move(socket), /*max_message_bytes=*/0,
      ucx::Line::Actions{.receive = [](std::string_view /*message*/) -> Status {
                           return absl::DataLossError(
                               std::string("a sender has nothing to say on the line"));
                         },
                         .end = [this](const Status& why) { end(why); }});
  std::string plain = encode(*welcome);
  line_->send(ucx::seal(plain, secret, hello));
  ucx::wipe(plain);
}

StatusOr<Welcome> InboundAgent::open(std::string name, const AgentOptions& agent_options,
                                     const RegisteredBuffer& buffer) {
  auto agent = Agent::create(std::move(name), agent_options);
  if (!agent.ok()) {
    return agent.status();
  }
  agent_ = *std::move(agent);
  Status status = agent_->register_memory({buffer.data(), buffer.size_bytes()});
  if (!status.ok()) {
    return status;
  }
  auto metadata = agent_->metadata();
  if (metadata.ok() && metadata->size() > kMaxWelcomeMetadataBytes) {
    return absl::InternalError(
        fmt::format("NIXL's metadata has {} bytes; at most {} fit the welcome", metadata->size(),
                    kMaxWelcomeMetadataBytes));
  }
  if (!metadata.ok()) {
    return metadata.status();
  }
  return Welcome{.base_address = reinterpret_cast<std::uintptr_t>(buffer.data()),
                 .page_bytes = buffer.page_bytes(),
                 .page_count = buffer.page_count(),
                 .probe_address = reinterpret_cast<std::uintptr_t>(agent_->probe().data()),
                 .metadata = *std::move(metadata)};
}

void InboundAgent::retire() {
  if (agent_ != nullptr) {
    retire_(std::move(agent_));
  }
}

void InboundAgent::end(const Status& health) {
  const Status why = health;  // Who says it may end here.
  // A writer without its line is fenced at once: nobody has to wait for its lease.
  line_.reset();
  retire();
  Ended ended = std::move(ended_);
  ended(why);
}

}  // namespace baton::transport::nixl
