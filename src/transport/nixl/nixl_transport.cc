#include "src/transport/nixl/nixl_transport.h"

#include <fmt/format.h>

#include <utility>

#include "src/base/log.h"
#include "src/transport/nixl/host.h"
#include "src/transport/nixl/inbound_agent.h"
#include "src/transport/nixl/outbound_agent.h"
#include "src/transport/nixl/welcome.h"
#include "src/transport/ucx/offer.h"
#include "src/transport/ucx/rdma_devices.h"

namespace baton::transport {
namespace {

constexpr std::string_view kOfferPrefix = "nixl1 ";

}  // namespace

StatusOr<std::unique_ptr<NixlTransport>> NixlTransport::create(Reactor& reactor, const PeerId& self,
                                                               NixlOptions options) {
  options.line.streams = 1;
  const auto rdma = nixl::check_host(options);
  if (!rdma.ok()) {
    return rdma.status();
  }
  if (Status works = nixl::check_agents(*rdma); !works.ok()) {
    return works;
  }
  auto listener = listen(options.line);
  if (!listener.ok()) {
    return listener.status();
  }
  std::string offer =
      std::string(kOfferPrefix) + ucx::make_offer(ucx::list_rdma_devices(), /*tcp_too=*/!*rdma);
  return std::unique_ptr<NixlTransport>(new NixlTransport(reactor, self, std::move(options), *rdma,
                                                          *std::move(listener), std::move(offer)));
}

NixlTransport::NixlTransport(Reactor& reactor, const PeerId& self, NixlOptions options, bool rdma,
                             Listener listener, std::string offer)
    : SocketTransport(reactor, self, options.line, std::move(listener)),
      self_(self),
      options_(std::move(options)),
      rdma_(rdma),
      offer_(std::move(offer)),
      workshop_(std::make_unique<nixl::Workshop>(reactor)) {}

bool NixlTransport::can_serve(std::string_view offer) const {
  const std::string_view ours = offer_;
  return offer.starts_with(kOfferPrefix) &&
         ucx::offers_meet(ours.substr(kOfferPrefix.size()), offer.substr(kOfferPrefix.size()));
}

Status NixlTransport::attach_plane(RegisteredBuffer& buffer) {
  if (buffer.page_count() > nixl::kMaxWelcomePages) {
    return absl::InvalidArgumentError(
        fmt::format("the buffer has {} pages; nixl names at most {} to a sender: use fewer, larger "
                    "ones",
                    buffer.page_count(), nixl::kMaxWelcomePages));
  }
  buffer_ = &buffer;
  return absl::OkStatus();
}

/// No two agents of a process have one: NIXL tells peers apart by it.
std::string NixlTransport::next_name() {
  return fmt::format("baton-{}-{}", self_.hex(), ++agents_made_);
}

std::unique_ptr<tcp::Inbound> NixlTransport::make_inbound(UniqueFd socket, const tcp::Hello& hello,
                                                          const Secret& secret,
                                                          tcp::Inbound::Ended ended) {
  return std::make_unique<nixl::InboundAgent>(
      reactor(), *workshop_, options_, nixl::AgentOptions{.progress_thread = true, .rdma = rdma_},
      next_name(), *buffer_, std::move(socket), hello, secret,
      [this, peer = hello.sender](std::unique_ptr<nixl::Agent> agent) {
        retire(peer, std::move(agent));
      },
      std::move(ended));
}

std::unique_ptr<tcp::Outbound> NixlTransport::make_outbound(tcp::Call call) {
  return std::make_unique<nixl::OutboundAgent>(
      reactor(), *workshop_, options_, nixl::AgentOptions{.progress_thread = false, .rdma = rdma_},
      next_name(), *buffer_, std::move(call));
}

void NixlTransport::retire(const PeerId& peer, std::unique_ptr<nixl::Agent> agent) {
  ++endings_[peer].agents;
  workshop_->bury(std::move(agent), [this, peer] { on_agent_gone(peer); });
}

void NixlTransport::on_agent_gone(const PeerId& peer) {
  const auto found = endings_.find(peer);
  if (found == endings_.end() || --found->second.agents > 0) {
    return;
  }
  for (Task& fenced : found->second.fences) {
    reactor().post(std::move(fenced));
  }
  endings_.erase(found);
}

StatusOr<std::string> NixlTransport::expect_peer(const PeerId& peer) {
  const auto found = endings_.find(peer);
  if (found != endings_.end() && !found->second.fences.empty()) {
    return absl::FailedPreconditionError(
        fmt::format("peer {} is being revoked; wait for its fence", peer.brief()));
  }
  return SocketTransport::expect_peer(peer);
}

void NixlTransport::revoke(const PeerId& peer, Task fenced) {
  // Destroys what was made of the peer's connection, and so begins the end of its agent.
  SocketTransport::revoke(peer, [] {});
  const auto found = endings_.find(peer);
  if (found == endings_.end()) {
    reactor().post(std::move(fenced));
  } else {
    found->second.fences.push_back(std::move(fenced));
  }
}

void NixlTransport::close() {
  SocketTransport::close();
  for (auto& [peer, ending] : endings_) {
    for (Task& fenced : std::exchange(ending.fences, {})) {
      reactor().post(std::move(fenced));
    }
  }
}

void NixlTransport::join() {
  SocketTransport::join();
  workshop_.reset();  // Behind every fence: now the memory may be given back.
}

}  // namespace baton::transport
