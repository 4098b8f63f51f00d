// What the transports over NIXL can be told.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "src/base/scheduler.h"
#include "src/transport/tcp/tcp_options.h"

namespace baton::transport {

struct NixlOptions {
  /// The line beside the agents: host, port, heartbeats. `streams` is not used.
  TcpOptions line;

  /// Let UCX write over TCP where there is no RDMA. Its software puts check neither key nor
  /// bounds: for experiments.
  bool insecure = false;

  /// A batch is cut into requests of at most this size: a turn of the loop may take as long as all
  /// that is posted takes.
  std::uint64_t part_bytes = 4U << 20U;
  /// Requests of one peer that NIXL has at once, and their bytes; the rest waits.
  std::size_t max_posted = 8;
  std::uint64_t posted_bytes = 8U << 20U;
  /// How long requests may be under way without one of them completing. UCX may wait for ever.
  Duration stall_limit = std::chrono::seconds(10);

  /// NIXL gives no event: its status has to be asked for. How long that is done in every turn of
  /// the loop; then with pauses of an eighth of what the request has taken, between these two.
  Duration spin = std::chrono::microseconds(100);
  Duration min_pause = std::chrono::microseconds(20);
  Duration max_pause = std::chrono::milliseconds(1);
};

}  // namespace baton::transport
