// Compiled where Baton is built with NIXL.
#include <utility>

#include "src/transport/nixl/nixl.h"
#include "src/transport/nixl/nixl_transport.h"
#include "src/transport/nixl/stock_agents.h"

namespace baton::transport {

bool has_nixl() {
  return true;
}

StatusOr<std::unique_ptr<Transport>> make_nixl_transport(Reactor& reactor, const PeerId& self,
                                                         NixlOptions options) {
  return NixlTransport::create(reactor, self, std::move(options));
}

StatusOr<std::unique_ptr<StockPlane>> make_stock_plane(Reactor& reactor, const PeerId& self,
                                                       NixlOptions options,
                                                       RegisteredBuffer& buffer) {
  return nixl::StockAgents::create(reactor, self, std::move(options), buffer);
}

}  // namespace baton::transport
