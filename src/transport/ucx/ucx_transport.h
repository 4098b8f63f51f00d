// RDMA, through UCX: docs/protocol-ucx.md is its specification, docs/rdma.md is for operators.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/transport/tcp/socket_transport.h"
#include "src/transport/ucx/context.h"
#include "src/transport/ucx/ucx_options.h"

namespace baton::transport {

/// Nobody at the receiver takes part in a put or get, so no guard is asked: who is connected can
/// write into every page and read it; quarantine and the fence keep late writes out. Fence: each
/// peer has workers of its own at the receiver; revoke() destroys them, and with them their queue
/// pairs.
class UcxTransport final : public tcp::SocketTransport {
 public:
  /// Binds, and opens the devices; from any thread. Serves from attach() on, which registers the
  /// buffer. kFailedPrecondition if this host has no RDMA device and `insecure` is not set.
  static StatusOr<std::unique_ptr<UcxTransport>> create(Reactor& reactor, const PeerId& self,
                                                        UcxOptions options);
  ~UcxTransport() override { join(); }

  std::string_view name() const override { return "ucx"; }
  void set_guard(const PageGuard* /*guard*/) override {}
  std::string offer() const override { return offer_; }
  bool can_serve(std::string_view offer) const override;
  void join() override;

 private:
  UcxTransport(Reactor& reactor, const PeerId& self, UcxOptions options, Listener listener,
               std::vector<std::unique_ptr<ucx::Context>> contexts, std::string offer);

  Status attach_plane(RegisteredBuffer& buffer) override;
  std::unique_ptr<tcp::Inbound> make_inbound(UniqueFd socket, const tcp::Hello& hello,
                                             const Secret& secret,
                                             tcp::Inbound::Ended ended) override;
  std::unique_ptr<tcp::Outbound> make_outbound(tcp::Call call) override;

  const UcxOptions options_;
  const std::string offer_;
  std::vector<std::unique_ptr<ucx::Context>> contexts_;  // by rail
  const RegisteredBuffer* buffer_ = nullptr;
};

}  // namespace baton::transport
