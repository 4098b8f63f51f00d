// A child process that runs a function, for tests with real processes.
#pragma once

#include <absl/functional/any_invocable.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "src/base/unique_fd.h"

namespace baton::testing {

/// Both ends of a pair of pipes between parent and child carry 64-bit numbers.
class Wire {
 public:
  Wire(UniqueFd in, UniqueFd out) : in_(std::move(in)), out_(std::move(out)) {}

  void send(std::uint64_t value) const {
    if (write(out_.get(), &value, sizeof value) != sizeof value) {
      std::abort();
    }
  }
  /// Waits; nullopt when the other side is gone.
  std::optional<std::uint64_t> receive() const {
    std::uint64_t value = 0;
    ssize_t got = 0;
    do {
      got = read(in_.get(), &value, sizeof value);
    } while (got < 0 && errno == EINTR);
    return got == sizeof value ? std::optional(value) : std::nullopt;
  }

 private:
  UniqueFd in_;
  UniqueFd out_;
};

/// Forked when made: make it while the process has one thread. Killed and reaped at its end.
class Child {
 public:
  using Body = absl::AnyInvocable<int(const Wire& to_parent)>;

  explicit Child(Body body) : Child(std::move(body), make_pipe(), make_pipe()) {}
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  const Wire& wire() const { return wire_; }
  pid_t pid() const { return pid_; }
  void signal(int number) const { kill(pid_, number); }
  /// Waits for its end: the exit status, or minus the signal that ended it.
  int join() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
  };

  static Pipe make_pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
      std::abort();
    }
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
  }

  Child(Body body, Pipe up, Pipe down)
      : pid_(fork()), wire_(std::move(up.read_end), std::move(down.write_end)) {
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const Wire to_parent(std::move(down.read_end), std::move(up.write_end));
      _exit(body(to_parent));
    }
  }

  pid_t pid_;
  Wire wire_;
};

}  // namespace baton::testing
