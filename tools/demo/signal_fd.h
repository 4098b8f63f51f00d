// SIGINT and SIGTERM as something to wait for.
#pragma once

#include <sys/signalfd.h>

#include <csignal>

#include "src/base/unique_fd.h"

namespace baton::demo {

/// Blocks both signals for this thread and those it starts; readable once one has come. Make it
/// before any other thread.
class SignalFd {
 public:
  SignalFd() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    fd_.reset(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  /// -1 if the kernel refused; then the signals are only blocked.
  int get() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace baton::demo
