#include "tools/demo/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace baton::demo {
namespace {

/// Between fork and exec: system calls only.
[[noreturn]] void become(const char* subcommand, const char* fd_text, int fd, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(1);  // The parent died before the line above.
  }
  ::signal(SIGINT, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::fcntl(fd, F_SETFD, 0);
  ::execl("/proc/self/exe", "baton", subcommand, fd_text, nullptr);
  ::_exit(127);
}

Status system_error(const char* what) {
  return absl::InternalError(fmt::format("{}: {}", what, std::strerror(errno)));
}

Status judge(const std::string& name, int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    return absl::AbortedError(fmt::format("{} was ended by signal {} ({})", name,
                                          WTERMSIG(wait_status),
                                          ::strsignal(WTERMSIG(wait_status))));
  }
  if (WEXITSTATUS(wait_status) != 0) {
    return absl::AbortedError(
        fmt::format("{} ended with exit status {}", name, WEXITSTATUS(wait_status)));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::spawn(const std::string& subcommand,
                                                            std::string name) {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    return system_error("socketpair");
  }
  UniqueFd ours(fds[0]);
  UniqueFd theirs(fds[1]);
  const std::string fd_text = std::to_string(theirs.get());
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return system_error("fork");
  }
  if (pid == 0) {
    become(subcommand.c_str(), fd_text.c_str(), theirs.get(), parent);
  }
  // Not reaped yet, so the pid is still its own.
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  std::unique_ptr<ChildProcess> child(
      new ChildProcess(std::move(name), pid, std::move(pidfd), std::move(ours)));
  if (!child->pidfd_) {
    return system_error("pidfd_open");
  }
  return child;
}

ChildProcess::~ChildProcess() {
  if (!wait_status_.has_value()) {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

Status ChildProcess::wait(std::chrono::milliseconds timeout) {
  if (!wait_status_.has_value()) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    pollfd ended{pidfd_.get(), POLLIN, 0};
    int ready = -1;
    do {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
              .count();
      ready = ::poll(&ended, 1, left > 0 ? static_cast<int>(left) : 0);
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0) {
      return absl::DeadlineExceededError(
          fmt::format("{} did not end within {} ms", name_, timeout.count()));
    }
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    wait_status_ = status;
  }
  return judge(name_, *wait_status_);
}

}  // namespace baton::demo
