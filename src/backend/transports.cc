#include "src/backend/transports.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

#include "src/base/log.h"
#include "src/transport/nixl/nixl.h"
#include "src/transport/shm/shm_transport.h"
#include "src/transport/tcp/tcp_transport.h"
#include "src/transport/ucx/rdma_devices.h"
#include "src/transport/ucx/ucx_transport.h"

namespace baton {
namespace {

using transport::Transport;
using Made = StatusOr<std::unique_ptr<Transport>>;

transport::TcpOptions line_of(const Options& options, const std::vector<std::uint16_t>& ports,
                              std::uint32_t worker_id) {
  transport::TcpOptions line;
  line.listen = receives(options.pd_role);
  line.host = options.pd_peer_host;
  line.port = worker_id < ports.size() ? ports[worker_id] : std::uint16_t{0};
  return line;
}

/// One processor is the progress thread's. Of chunks with digests another is the receiver's, which
/// verifies them while the next ones are copied: with a helper on it the put took longer.
transport::shm::CopyHelpers copy_helpers(const Options& options) {
  const std::uint32_t processors = std::thread::hardware_concurrency();
  const auto but = [&](std::uint32_t taken) {
    return std::min(options.pd_copy_helpers, processors > taken ? processors - taken : 0);
  };
  return {.count = but(1), .for_digests = but(2)};
}

Made make_tcp(Reactor& reactor, const Epoch& self, const Options& options,
              std::uint32_t worker_id) {
  return transport::TcpTransport::create(reactor, self,
                                         line_of(options, options.pd_peer_data_port, worker_id));
}

Made make_ucx(Reactor& reactor, const Epoch& self, const Options& options,
              std::uint32_t worker_id) {
  transport::UcxOptions ucx;
  ucx.line = line_of(options, options.pd_peer_ucx_port, worker_id);
  ucx.rails = options.pd_ucx_rails;
  ucx.insecure = options.insecure_data_plane;
  ucx.stall_limit = options.pd_ucx_stall_timeout_ms;
  return transport::UcxTransport::create(reactor, self, std::move(ucx));
}

Made make_nixl(Reactor& reactor, const Epoch& self, const Options& options,
               std::uint32_t worker_id) {
  transport::NixlOptions nixl = nixl_options(options);
  nixl.line = line_of(options, options.pd_peer_ucx_port, worker_id);
  return transport::make_nixl_transport(reactor, self, std::move(nixl));
}

Made attached(Made made, RegisteredBuffer& buffer) {
  if (!made.ok()) {
    return made;
  }
  if (Status status = (*made)->attach(buffer); !status.ok()) {
    return status;
  }
  return made;
}

}  // namespace

transport::NixlOptions nixl_options(const Options& options) {
  transport::NixlOptions nixl;
  nixl.insecure = options.insecure_data_plane;
  nixl.stall_limit = options.pd_ucx_stall_timeout_ms;
  return nixl;
}

StatusOr<std::vector<std::unique_ptr<Transport>>> make_transports_on_loop(
    Reactor& reactor, const Epoch& self, const Options& options, std::uint32_t worker_id,
    RegisteredBuffer& buffer) {
  std::vector<Made> made;
  const TransportChoice choice = options.pd_transport;
  const bool any = choice == TransportChoice::kAuto;
  if (any || choice == TransportChoice::kShm) {
    transport::ShmOptions shm;
    shm.max_message_bytes = options.pd_max_message_bytes;
    shm.copy_helpers = copy_helpers(options);
    made.push_back(attached(std::make_unique<transport::ShmTransport>(reactor, self, shm), buffer));
  }
  if (choice == TransportChoice::kUcx ||
      (any && transport::ucx::any_active_port(transport::ucx::list_rdma_devices()))) {
    Made ucx = attached(make_ucx(reactor, self, options, worker_id), buffer);
    if (any && !ucx.ok()) {
      log::warning("this host has RDMA, but goes on without it: {}",
                   std::string(ucx.status().message()));
    } else {
      made.push_back(std::move(ucx));
    }
  }
  // Never by `auto`: nothing that it does is not done better by one of the others
  // (docs/interop.md).
  if (choice == TransportChoice::kNixl) {
    made.push_back(attached(make_nixl(reactor, self, options, worker_id), buffer));
  }
  if (any || choice == TransportChoice::kTcp) {
    made.push_back(attached(make_tcp(reactor, self, options, worker_id), buffer));
  }
  std::vector<std::unique_ptr<Transport>> transports;
  for (Made& one : made) {
    if (!one.ok()) {
      return one.status();
    }
    transports.push_back(*std::move(one));
  }
  return transports;
}

StatusOr<std::unique_ptr<transport::StockPlane>> make_stock_plane_on_loop(
    Reactor& reactor, const Epoch& self, const Options& options, RegisteredBuffer& buffer) {
  if (options.pd_stock_peers == StockPeers::kRefuse) {
    return nullptr;
  }
  auto plane = transport::make_stock_plane(reactor, self, nixl_options(options), buffer);
  if (!plane.ok()) {
    return Status(plane.status().code(), fmt::format("pd_stock_peers is allow, but {}",
                                                     std::string(plane.status().message())));
  }
  return plane;
}

}  // namespace baton
