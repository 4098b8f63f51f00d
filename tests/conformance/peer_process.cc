#include "tests/conformance/peer_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstdlib>

namespace baton::conformance {
namespace {

// Far more than any event takes, also under sanitizers on a busy machine.
constexpr int kPatienceMs = 60'000;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    std::abort();
  }
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

PeerProcess::PeerProcess(std::string_view transport) {
  Pipe commands = make_pipe();
  Pipe events = make_pipe();
  const std::string name(transport);
  pid_ = fork();
  if (pid_ == 0) {
    // Only calls that are safe after fork() in a process with threads.
    dup2(commands.read.get(), STDIN_FILENO);
    dup2(events.write.get(), STDOUT_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl(BATON_CONFORMANCE_PEER, BATON_CONFORMANCE_PEER, name.c_str(), nullptr);
    _exit(127);
  }
  if (pid_ < 0) {
    std::abort();
  }
  commands_ = std::move(commands.write);
  events_ = std::move(events.read);
  events.write.reset();
  const auto id = Epoch::from_bytes(from_hex(await("id").value_or("")));
  if (!id.ok()) {
    std::abort();
  }
  id_ = *id;
}

PeerProcess::~PeerProcess() {
  kill();
}

void PeerProcess::send(const std::string& command) {
  const std::string line = command + "\n";
  // The commands of a test fit the pipe many times over.
  if (write(commands_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    std::abort();
  }
}

std::optional<std::string> PeerProcess::read_line() {
  while (true) {
    const std::size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    pollfd ready{events_.get(), POLLIN, 0};
    std::array<char, 4096> bytes{};
    if (poll(&ready, 1, kPatienceMs) != 1) {
      return std::nullopt;
    }
    const ssize_t got = read(events_.get(), bytes.data(), bytes.size());
    if (got <= 0) {
      return std::nullopt;
    }
    unread_.append(bytes.data(), static_cast<std::size_t>(got));
  }
}

std::optional<std::string> PeerProcess::await(std::string_view event) {
  while (auto line = read_line()) {
    if (line->starts_with(event)) {
      line->erase(0, event.size() + 1);
      return line;
    }
  }
  return std::nullopt;
}

bool PeerProcess::await_both(std::string_view one, std::string_view other) {
  bool came_one = false;
  bool came_other = false;
  while (!came_one || !came_other) {
    const auto line = read_line();
    if (!line.has_value()) {
      return false;
    }
    came_one |= line->starts_with(one);
    came_other |= line->starts_with(other);
  }
  return true;
}

void PeerProcess::stop() {
  ::kill(pid_, SIGSTOP);
  int status = 0;
  waitpid(pid_, &status, WUNTRACED);
}

void PeerProcess::resume() {
  ::kill(pid_, SIGCONT);
}

void PeerProcess::kill() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
  }
}

}  // namespace baton::conformance
