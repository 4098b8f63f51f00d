// What both sides of raw_tcp share.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>

#include "src/base/unique_fd.h"
#include "tools/bench/json_pipe.h"

namespace baton::bench::raw_tcp {

/// Sockets for as many streams with a thread each, and as many more that one thread serves.
inline constexpr std::uint32_t kMaxStreams = 4;
/// How long that one spins before it sleeps: it must not use the processor of who is measured next.
inline constexpr std::chrono::microseconds kSpinTime{200};

/// What precedes the bytes of one stream's share.
struct Share {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t whole_reads = 0;  ///< 1: the receiver waits for whole pieces
};

inline constexpr std::size_t kReadBytes = std::size_t{1} << 20U;

inline bool read_all(int socket, void* to, std::size_t bytes, bool whole_reads) {
  auto* at = static_cast<std::byte*>(to);
  while (bytes > 0) {
    const ssize_t got =
        ::recv(socket, at, std::min(bytes, kReadBytes), whole_reads ? MSG_WAITALL : 0);
    if (got <= 0 && errno != EINTR) {
      return false;
    }
    at += std::max<ssize_t>(got, 0);
    bytes -= static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  return true;
}

/// recv() or send() made no progress, and may later.
inline bool must_wait(ssize_t moved) {
  return moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

/// Asks `move` (bytes moved; 0: none) until `is_done`, spinning, then asleep until one of the
/// sockets is ready for `events`.
template <typename Move, typename IsDone>
void spin(std::span<const UniqueFd> sockets, short events, Move move, IsDone is_done) {
  auto moved_at = Clock::now();
  while (!is_done()) {
    if (move()) {
      moved_at = Clock::now();
    } else if (Clock::now() - moved_at < kSpinTime) {
      std::this_thread::yield();
    } else {
      std::array<pollfd, kMaxStreams> ready{};
      std::transform(sockets.begin(), sockets.end(), ready.begin(), [&](const UniqueFd& socket) {
        return pollfd{socket.get(), events, 0};
      });
      ::poll(ready.data(), sockets.size(), -1);
      moved_at = Clock::now();
    }
  }
}

}  // namespace baton::bench::raw_tcp
