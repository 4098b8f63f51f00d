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

  /// Streams of a connection, 1 to 16: the smaller number of both sides counts. One flow is tied to
  /// one link of a bond, one queue of the card and one congestion window; two use a second of each.
  /// More seldom help, since each process moves all bytes on one thread; and where one flow fills
  /// the path, more only cost: over a loopback 1 was a fifth faster than 2, and 4 slower still.
  std::uint16_t streams = 2;
  /// How much of a batch one stream gets before the next choice of a stream: enough to make the
  /// frames' headers and the system calls cheap, little enough to keep the streams level.
  std::size_t run_bytes = 256U << 10U;

  /// Most bytes that one stream moves in one turn of the loop, each way.
  std::size_t slice_bytes = 1U << 20U;
  /// SO_SNDBUF and SO_RCVBUF; 0 leaves it to the kernel, whose tuning goes further than its
  /// default limit for these two.
  std::size_t socket_buffer_bytes = 0;

  /// From a connection's arrival to its right proof.
  Duration opening_timeout = std::chrono::seconds(5);
  /// Connections that have not proven who they are.
  std::size_t max_unproven = 64;

  /// How often a stream with nothing else to say says that it is there.
  Duration heartbeat_interval = std::chrono::seconds(1);
  /// How long a peer may say nothing at all. At least two intervals.
  Duration silence_limit = std::chrono::seconds(5);
};

struct TcpStats {
  std::uint64_t accepted_streams = 0;
  std::uint64_t rejected_openings = 0;  ///< said something wrong
  std::uint64_t expired_openings = 0;   ///< too late, or closed in favour of a newcomer
  std::uint64_t rejected_writes = 0;    ///< outside the page or the grant
  std::uint64_t rejected_reads = 0;     ///< outside the page or what the peer may read
  std::uint64_t broken_streams = 0;     ///< frames that make no sense
  std::uint64_t heartbeats = 0;         ///< received from senders
};

}  // namespace baton::transport
