// Baton's own data plane between hosts: docs/protocol-tcp.md is its specification.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "src/transport/tcp/inbound_stream.h"
#include "src/transport/tcp/socket_transport.h"
#include "src/transport/tcp/tcp_options.h"

namespace baton::transport {

/// The guard is asked before each piece. A write or read that it refuses, or that does not fit its
/// page, ends the connection and is counted. Fence: the receiver's sockets are closed inside
/// revoke().
class TcpTransport final : public tcp::SocketTransport {
 public:
  /// Binds; from any thread. Serves from attach() on.
  static StatusOr<std::unique_ptr<TcpTransport>> create(Reactor& reactor, const PeerId& self,
                                                        TcpOptions options);

  std::string_view name() const override { return "tcp"; }
  void set_guard(const PageGuard* guard) override { pages_.guard = guard; }
  std::string offer() const override;
  bool can_serve(std::string_view offer) const override;

 private:
  using SocketTransport::SocketTransport;

  Status attach_plane(RegisteredBuffer& buffer) override;
  Status can_expect() const override;
  std::unique_ptr<tcp::Inbound> make_inbound(UniqueFd socket, const tcp::Hello& hello,
                                             const Secret& secret,
                                             tcp::Inbound::Ended ended) override;
  std::unique_ptr<tcp::Outbound> make_outbound(tcp::Call call) override;

  tcp::PageAccess pages_;
};

}  // namespace baton::transport
