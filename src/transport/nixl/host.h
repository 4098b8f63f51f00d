// What NIXL may do on this host.
#pragma once

#include "baton/status.h"
#include "src/transport/nixl/nixl_options.h"

namespace baton::transport::nixl {

/// True: by RDMA; false: over TCP, which `insecure` allows. Else kFailedPrecondition, with the
/// reason. Checks the options, too, and what the environment tells UCX.
StatusOr<bool> check_host(const NixlOptions& options);

}  // namespace baton::transport::nixl
