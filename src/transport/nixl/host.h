// What NIXL may do on this host.
#pragma once

#include "baton/status.h"
#include "src/transport/nixl/nixl_options.h"

namespace baton::transport::nixl {

/// True: by RDMA; false: over TCP, which `insecure` allows. Else kFailedPrecondition, with the
/// reason. Checks the options, too, and what the environment tells UCX.
StatusOr<bool> check_host(const NixlOptions& options);

/// Makes an agent, and destroys it: a NIXL that can't, or has no UCX plug-in, is an error at the
/// start and not when the first peer comes. And the first takes longest.
Status check_agents(bool rdma);

}  // namespace baton::transport::nixl
