// What a UcxTransport can be told.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "src/base/scheduler.h"
#include "src/transport/tcp/tcp_options.h"

namespace baton::transport {

struct UcxOptions {
  /// The line beside the rails: host, port, heartbeats. `streams` is not used.
  TcpOptions line;

  /// One rail for each entry, which says what UCX_NET_DEVICES would: "mlx5_0:1". Both sides' first
  /// rails belong together, then the second; the smaller number counts. Empty: one rail, over what
  /// UCX and its environment variables choose.
  std::vector<std::string> rails;
  /// Let UCX use TCP too. Its software puts check neither key nor bounds: for experiments.
  bool insecure = false;

  /// Longer writes and reads are cut into puts and gets of this size: progress shows, and rails
  /// stay level.
  std::size_t piece_bytes = 1U << 20U;
  /// Puts and gets of one rail that are under way at once.
  std::size_t max_under_way = 32;
  /// How long puts and gets may be under way without one of them completing. UCX may wait for ever.
  Duration stall_limit = std::chrono::seconds(10);
  /// How long a rail that waits for a completion looks for it before it sleeps: a wake-up by
  /// interrupt takes longer than most puts.
  Duration spin = std::chrono::microseconds(50);
};

}  // namespace baton::transport
