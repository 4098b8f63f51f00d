// Unix packets between two processes, awaited in epoll or spun for: the leanest channel that
// sleeps.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "src/base/unique_fd.h"

namespace baton::bench {

/// How long who spins does so before it sleeps after all, as with Baton's busy_poll: while the
/// other side of a pair is measured, nobody may use the processor.
inline constexpr std::chrono::microseconds kSpin{200};

struct Listener {
  UniqueFd socket;
  std::string name;  ///< in the abstract namespace: goes away with the socket
};

Listener listen_for_packets();
UniqueFd connect_for_packets(const std::string& name);

/// Over a socket that somebody else owns. One thread.
class PacketLoop {
 public:
  PacketLoop(int socket, bool busy);

  /// Fixed sizes. False at the end of the stream.
  bool receive(void* packet, std::size_t bytes);
  void send(const void* packet, std::size_t bytes);

 private:
  int socket_;
  bool busy_;
  UniqueFd epoll_;
};

}  // namespace baton::bench
