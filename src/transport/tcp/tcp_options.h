// What a TcpTransport can be told, and what it counts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "src/base/scheduler.h"

namespace baton::transport {

struct TcpOptions {
  /// False for a process that only writes to others: nobody can connect to it.
  bool listen = true;
  /// Address or name that the listening socket is bound to; resolved once, at creation.
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any
  /// What tickets carry instead of the bound address; needed when that is a wildcard.
  std::string advertised_host;

  /// Most bytes that one connection moves in one turn of the loop.
  std::size_t slice_bytes = 1U << 20U;
  /// SO_SNDBUF and SO_RCVBUF; 0 leaves it to the kernel, whose tuning goes further than its
  /// default limit for these two.
  std::size_t socket_buffer_bytes = 0;
  /// From a connection's arrival to its complete hello.
  Duration hello_timeout = std::chrono::seconds(5);
  /// Connections that have not said a right hello yet; one more closes the oldest.
  std::size_t max_unauthenticated = 64;
  /// How long data may stay unacknowledged, or the peer's window shut.
  Duration user_timeout = std::chrono::seconds(20);
};

struct TcpStats {
  std::uint64_t accepted_hellos = 0;
  std::uint64_t rejected_hellos = 0;  ///< complete, but wrong
  std::uint64_t expired_hellos = 0;   ///< too late, or closed in favour of a newer connection
  std::uint64_t rejected_writes = 0;  ///< outside the page or the grant
  std::uint64_t broken_streams = 0;   ///< frames that make no sense
};

}  // namespace baton::transport
