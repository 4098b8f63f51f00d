// A connected socket that the reactor watches, for as long as it is open.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "baton/status.h"
#include "src/base/scheduler.h"
#include "src/base/unique_fd.h"

namespace baton::transport::tcp {

/// On the loop only.
class WatchedSocket {
 public:
  /// `ready` may destroy the WatchedSocket.
  WatchedSocket(Reactor& reactor, UniqueFd fd, std::uint32_t events, Reactor::Ready ready);
  ~WatchedSocket() { close(); }
  WatchedSocket(const WatchedSocket&) = delete;
  WatchedSocket& operator=(const WatchedSocket&) = delete;

  const UniqueFd& fd() const { return fd_; }
  /// Asks the reactor only if that is a change.
  void want(std::uint32_t events);
  /// What the kernel had buffered is discarded.
  void close();
  /// Gives the descriptor away, unwatched.
  UniqueFd release();

  /// Bytes received; 0 if there is nothing now. kUnavailable at the end of the stream, or for an
  /// error.
  StatusOr<std::size_t> receive(std::span<std::byte> into);
  /// Bytes taken by the kernel; 0 if it takes none now.
  StatusOr<std::size_t> send(std::span<const std::byte> from);
  StatusOr<std::size_t> send(std::span<iovec> pieces);

 private:
  Reactor& reactor_;
  UniqueFd fd_;
  std::uint32_t events_;
};

}  // namespace baton::transport::tcp
