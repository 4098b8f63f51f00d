// Another process of the demo: this program again, under a hidden subcommand.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "baton/status.h"
#include "src/base/unique_fd.h"

namespace baton::demo {

/// Owns a child: it is killed and reaped with this object, and dies with the thread that spawned it
/// (so spawn from a process's main thread). It ignores SIGINT: the main process ends the run.
class ChildProcess {
 public:
  /// Runs `/proc/self/exe subcommand FD`, FD being the child's end of a new socketpair.
  static StatusOr<std::unique_ptr<ChildProcess>> spawn(const std::string& subcommand,
                                                       std::string name);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  const std::string& name() const { return name_; }
  /// Our end of the socketpair; once.
  UniqueFd take_socket() { return std::move(socket_); }

  /// Waits for its end and reaps it. kDeadlineExceeded if it lives on; kAborted, naming the process
  /// and its exit status or signal, unless it exited with 0.
  Status wait(std::chrono::milliseconds timeout);

 private:
  ChildProcess(std::string name, pid_t pid, UniqueFd pidfd, UniqueFd socket)
      : name_(std::move(name)), pid_(pid), pidfd_(std::move(pidfd)), socket_(std::move(socket)) {}

  std::string name_;
  pid_t pid_;
  UniqueFd pidfd_;
  UniqueFd socket_;
  std::optional<int> wait_status_;  // once reaped
};

}  // namespace baton::demo
