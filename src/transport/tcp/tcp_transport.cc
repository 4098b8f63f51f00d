#include "src/transport/tcp/tcp_transport.h"

#include <utility>

#include "src/transport/tcp/outbound_connection.h"

namespace baton::transport {
namespace {

// Not that a peer can read: the version of the control protocol says so.
constexpr std::string_view kOffer = "2";

}  // namespace

StatusOr<std::unique_ptr<TcpTransport>> TcpTransport::create(Reactor& reactor, const PeerId& self,
                                                             TcpOptions options) {
  auto listener = listen(options);
  if (!listener.ok()) {
    return listener.status();
  }
  return std::unique_ptr<TcpTransport>(
      new TcpTransport(reactor, self, std::move(options), *std::move(listener)));
}

Status TcpTransport::attach_plane(RegisteredBuffer& buffer) {
  pages_.buffer = &buffer;
  pages_.stats = &mutable_stats();
  return absl::OkStatus();
}

std::string TcpTransport::offer() const {
  return std::string(kOffer);
}

bool TcpTransport::can_serve(std::string_view offer) const {
  return offer == kOffer;
}

Status TcpTransport::can_expect() const {
  if (pages_.guard == nullptr) {
    return absl::FailedPreconditionError(std::string("set a guard before expecting peers"));
  }
  return absl::OkStatus();
}

std::unique_ptr<tcp::Inbound> TcpTransport::make_inbound(UniqueFd socket, const tcp::Hello& hello,
                                                         const Secret& /*secret*/,
                                                         tcp::Inbound::Ended ended) {
  return std::make_unique<tcp::InboundStream>(reactor(), line_options(), std::move(socket),
                                              hello.sender, pages_, std::move(ended));
}

std::unique_ptr<tcp::Outbound> TcpTransport::make_outbound(tcp::Call call) {
  return std::make_unique<tcp::OutboundConnection>(reactor(), line_options(), std::move(call));
}

}  // namespace baton::transport
