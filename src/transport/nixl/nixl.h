// NIXL (https://github.com/ai-dynamo/nixl), where Baton was built with it (BATON_WITH_NIXL).
//
// docs/protocol-nixl.md is the specification, docs/interop.md says what the fence is and what NIXL
// can't promise. No header of NIXL is included by any header here.
#pragma once

#include <memory>
#include <string_view>

#include "baton/status.h"
#include "src/base/scheduler.h"
#include "src/memory/registered_buffer.h"
#include "src/transport/nixl/nixl_options.h"
#include "src/transport/stock_plane.h"
#include "src/transport/transport.h"

namespace baton::transport {

/// Whether this Baton was built with NIXL. If not, the makers below fail with kUnimplemented.
bool has_nixl();

/// The transport between two Batons. Binds; from any thread. kFailedPrecondition if this host has
/// no RDMA device and `insecure` is not set.
StatusOr<std::unique_ptr<Transport>> make_nixl_transport(Reactor& reactor, const PeerId& self,
                                                         NixlOptions options);

/// The plane towards peers that know LMCache's handshake alone. On the loop; `buffer` outlives it.
/// `self` goes into agents' names. The line's options are not used.
StatusOr<std::unique_ptr<StockPlane>> make_stock_plane(Reactor& reactor, const PeerId& self,
                                                       NixlOptions options,
                                                       RegisteredBuffer& buffer);

}  // namespace baton::transport
