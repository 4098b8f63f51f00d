// A descriptor under watch of a reactor.
#pragma once

#include <cstdint>
#include <utility>

#include "src/base/scheduler.h"
#include "src/base/unique_fd.h"

namespace baton::transport::shm {

/// Owns a descriptor, and its watch once there is one. close() on the loop ends both. The
/// destructor only closes the descriptor: an owner that dies with a watch open does so after the
/// loop has stopped.
class WatchedFd {
 public:
  WatchedFd(Reactor& reactor, UniqueFd fd) : reactor_(reactor), fd_(std::move(fd)) {}

  explicit operator bool() const { return static_cast<bool>(fd_); }
  int get() const { return fd_.get(); }

  void watch_on_loop(std::uint32_t events, Reactor::Ready ready) {
    reactor_.watch(fd_.get(), events, std::move(ready));
    watched_ = true;
  }
  void rewatch_on_loop(std::uint32_t events) { reactor_.rewatch(fd_.get(), events); }
  bool watched() const { return watched_; }
  /// Takes the descriptor out, unwatched.
  UniqueFd release_on_loop() {
    if (std::exchange(watched_, false)) {
      reactor_.unwatch(fd_.get());
    }
    return std::move(fd_);
  }
  /// Idempotent.
  void close_on_loop() { release_on_loop(); }

 private:
  Reactor& reactor_;
  UniqueFd fd_;
  bool watched_ = false;
};

}  // namespace baton::transport::shm
