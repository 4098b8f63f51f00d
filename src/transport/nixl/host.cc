#include "src/transport/nixl/host.h"

#include <cstdlib>
#include <string>

#include "src/base/log.h"
#include "src/transport/nixl/agent.h"
#include "src/transport/ucx/allowed_transports.h"
#include "src/transport/ucx/rdma_devices.h"

namespace baton::transport::nixl {

StatusOr<bool> check_host(const NixlOptions& options) {
  if (options.max_posted == 0 || options.part_bytes == 0 ||
      options.stall_limit <= Duration::zero() || options.min_pause <= Duration::zero() ||
      options.max_pause < options.min_pause) {
    return absl::InvalidArgumentError(std::string(
        "max_posted, part_bytes, stall_limit and min_pause of nixl must not be 0, and max_pause "
        "not less than min_pause"));
  }
  const bool rdma = ucx::any_active_port(ucx::list_rdma_devices());
  if (!rdma && !options.insecure) {
    return absl::FailedPreconditionError(std::string(
        "this host has no RDMA device with an active port (see `baton doctor`); NIXL would write "
        "over TCP, where whoever can connect can write anywhere in this process: choose tcp, or, "
        "for an experiment, set insecure_data_plane: true"));
  }
  if (const char* const wanted = std::getenv("UCX_TLS"); wanted != nullptr) {
    if (Status status = ucx::check_transports(wanted, !rdma); !status.ok()) {
      return status;
    }
  }
  if (!rdma) {
    log::warning(
        "nixl writes over TCP (insecure_data_plane: true): whoever can connect to this process can "
        "write anywhere in it, and a peer that dies may take it along");
  }
  return rdma;
}

Status check_agents(bool rdma) {
  return Agent::create("baton-check", {.progress_thread = false, .rdma = rdma}).status();
}

}  // namespace baton::transport::nixl
