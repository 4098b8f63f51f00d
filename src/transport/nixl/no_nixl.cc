// Compiled where Baton is built without NIXL.
#include "src/transport/nixl/nixl.h"

#include <string>

namespace baton::transport {
namespace {

Status missing() {
  return absl::UnimplementedError(
      std::string("this Baton was built without NIXL: configure it with -DBATON_WITH_NIXL=ON, and "
                  "-DNIXL_ROOT=<where NIXL is installed>"));
}

}  // namespace

bool has_nixl() {
  return false;
}

StatusOr<std::unique_ptr<Transport>> make_nixl_transport(Reactor& /*reactor*/,
                                                         const PeerId& /*self*/,
                                                         NixlOptions /*options*/) {
  return missing();
}

StatusOr<std::unique_ptr<StockPlane>> make_stock_plane(Reactor& /*reactor*/, const PeerId& /*self*/,
                                                       NixlOptions /*options*/,
                                                       RegisteredBuffer& /*buffer*/) {
  return missing();
}

}  // namespace baton::transport
