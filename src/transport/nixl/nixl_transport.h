// Between two Batons by NIXL: docs/protocol-nixl.md is its specification.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/lifetime.h"
#include "src/transport/nixl/agent.h"
#include "src/transport/nixl/nixl_options.h"
#include "src/transport/nixl/workshop.h"
#include "src/transport/tcp/socket_transport.h"

namespace baton::transport {

/// Nobody at the receiver is asked about a write: who is connected can write into every page;
/// quarantine and the fence keep late writes out. Fence: each peer has a NIXL agent of its own at
/// the receiver; revoke() destroys it, on another thread, and with it its UCX worker.
class NixlTransport final : public tcp::SocketTransport {
 public:
  static StatusOr<std::unique_ptr<NixlTransport>> create(Reactor& reactor, const PeerId& self,
                                                         NixlOptions options);
  ~NixlTransport() override { join(); }

  std::string_view name() const override { return "nixl"; }
  void set_guard(const PageGuard* /*guard*/) override {}
  std::string offer() const override { return offer_; }
  bool can_serve(std::string_view offer) const override;
  StatusOr<std::string> expect_peer(const PeerId& peer) override;
  void revoke(const PeerId& peer, Task fenced) override;
  void close() override;
  void join() override;

 private:
  /// At the receiver, of one peer.
  struct PeerAgents {
    std::size_t count = 0;     ///< being made, in use, or ending; not 0
    std::size_t ending = 0;    ///< of these
    std::vector<Task> fences;  ///< wait until none is ending; nobody has heard of one being made
  };

  NixlTransport(Reactor& reactor, const PeerId& self, NixlOptions options, bool rdma,
                Listener listener, std::string offer);

  Status attach_plane(RegisteredBuffer& buffer) override;
  bool has_room(const PeerId& peer) const override;
  std::unique_ptr<tcp::Inbound> make_inbound(UniqueFd socket, const tcp::Hello& hello,
                                             const Secret& secret,
                                             tcp::Inbound::Ended ended) override;
  std::unique_ptr<tcp::Outbound> make_outbound(tcp::Call call) override;
  std::string next_name();
  void retire(const PeerId& peer, std::unique_ptr<nixl::Agent> agent);
  void on_agent_gone(const PeerId& peer);
  void forget_agent(const PeerId& peer);

  const PeerId self_;
  const NixlOptions options_;
  const bool rdma_;
  const std::string offer_;
  RegisteredBuffer* buffer_ = nullptr;
  std::uint64_t agents_made_ = 0;
  std::map<PeerId, PeerAgents> agents_;
  std::unique_ptr<nixl::Workshop> workshop_;
  Lifetime lifetime_;
};

}  // namespace baton::transport
