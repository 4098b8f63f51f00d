#include "tests/fault/soak/process.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

namespace baton::soak {

Status Message::status() const {
  return {static_cast<StatusCode>(code), why.data()};
}

void Message::set_status(const Status& status) {
  code = static_cast<std::uint32_t>(status.code());
  const std::string text(status.message());
  const std::size_t length = std::min(text.size(), why.size() - 1);
  std::copy_n(text.begin(), length, why.begin());
  why[length] = '\0';
}

bool Channel::send(const Message& message) const {
  ssize_t sent = 0;
  do {
    sent = ::send(socket_.get(), &message, sizeof message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == sizeof message;
}

std::optional<Message> Channel::receive() const {
  Message message;
  ssize_t got = 0;
  do {
    got = ::recv(socket_.get(), &message, sizeof message, 0);
  } while (got < 0 && errno == EINTR);
  return got == sizeof message ? std::optional(message) : std::nullopt;
}

Process::Pair Process::make_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    std::abort();
  }
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Process::Process(std::string name, const Body& body)
    : Process(std::move(name), body, make_pair()) {}

Process::Process(std::string name, const Body& body, Pair pair)
    : name_(std::move(name)), pid_(fork()), channel_(std::move(pair.driver)) {
  if (pid_ < 0) {
    std::abort();
  }
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const Channel driver(std::move(pair.worker));
    _exit(body(driver));
  }
}

void Process::kill_and_reap() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
}

ReservedPort::ReservedPort() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const int on = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(socket_.get(), generic, size) != 0 || getsockname(socket_.get(), generic, &size) != 0) {
    std::abort();
  }
  number_ = ntohs(address.sin_port);
}

}  // namespace baton::soak
