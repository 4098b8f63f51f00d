#include "src/transport/nixl/inbound_agent.h"

#include <fmt/format.h>

#include <utility>

#include "src/base/log.h"
#include "src/transport/ucx/sealing.h"

namespace baton::transport::nixl {

InboundAgent::InboundAgent(Reactor& reactor, Workshop& workshop, const NixlOptions& options,
                           const AgentOptions& agent_options, std::string name,
                           const RegisteredBuffer& buffer, UniqueFd socket, const tcp::Hello& hello,
                           const Secret& secret, Retire retire, Ended ended)
    : reactor_(reactor),
      buffer_(buffer),
      hello_(hello),
      secret_(secret),
      retire_(std::move(retire)),
      ended_(std::move(ended)) {
  line_ = std::make_unique<ucx::Line>(
      reactor, options.line, std::move(socket), /*max_message_bytes=*/0,
      ucx::Line::Actions{.receive = [](std::string_view /*message*/) -> Status {
                           return absl::DataLossError(
                               std::string("a sender has nothing to say on the line"));
                         },
                         .end = [this](const Status& why) { end(why); }});
  // Should the connection end meanwhile, the agent does, too: nobody has heard of it.
  workshop.make(
      [name = std::move(name), agent_options, &buffer]() -> Workshop::MadeAgent {
        auto agent = Agent::create(name, agent_options);
        if (!agent.ok()) {
          return agent;
        }
        if (Status status = (*agent)->register_memory({buffer.data(), buffer.size_bytes()});
            !status.ok()) {
          return status;
        }
        return agent;
      },
      [retire = retire_, made = lifetime_.guard([this](Workshop::MadeAgent agent) {
        on_made(std::move(agent));
      })](Workshop::MadeAgent&& agent) mutable {
        const bool has_agent = agent.ok();
        made(std::move(agent));
        if (!has_agent) {
          retire(nullptr);
        } else if (*agent != nullptr) {  // Nobody was there to take it.
          retire(*std::move(agent));
        }
      });
}

void InboundAgent::on_made(Workshop::MadeAgent agent) {
  if (agent.ok() && line_ == nullptr) {
    retire_(*std::move(agent));
    return;
  }
  Status status = agent.status();
  if (status.ok()) {
    agent_ = *std::move(agent);
    notifications_.emplace(reactor_, *agent_, [this](const Status& why) {
      log::warning("nixl: peer {} is cut off: {}", hello_.sender.brief(),
                   std::string(why.message()));
      end(why);
    });
    const auto welcome = describe();
    status = welcome.status();
    if (status.ok()) {
      std::string plain = encode(*welcome);
      line_->send(ucx::seal(plain, secret_, hello_));
      ucx::wipe(plain);
    }
  }
  if (!status.ok() && line_ != nullptr) {
    log::warning("nixl: peer {} can't be served: {}", hello_.sender.brief(),
                 std::string(status.message()));
    end(status);  // The line closes: the sender hears that much.
  }
}

StatusOr<Welcome> InboundAgent::describe() {
  auto metadata = agent_->metadata();
  if (metadata.ok() && metadata->size() > kMaxWelcomeMetadataBytes) {
    return absl::InternalError(
        fmt::format("NIXL's metadata has {} bytes; at most {} fit the welcome", metadata->size(),
                    kMaxWelcomeMetadataBytes));
  }
  if (!metadata.ok()) {
    return metadata.status();
  }
  return Welcome{.base_address = reinterpret_cast<std::uintptr_t>(buffer_.data()),
                 .page_bytes = buffer_.page_bytes(),
                 .page_count = buffer_.page_count(),
                 .probe_address = reinterpret_cast<std::uintptr_t>(agent_->probe().data()),
                 .metadata = *std::move(metadata)};
}

void InboundAgent::retire() {
  notifications_.reset();
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
