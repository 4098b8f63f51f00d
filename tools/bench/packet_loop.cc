#include "tools/bench/packet_loop.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tools/bench/failed.h"

namespace baton::bench {
namespace {

[[noreturn]] void fail(const char* what) {
  throw Failed(fmt::format("{}: {}", what, std::strerror(errno)));
}

sockaddr_un address_of(const std::string& name, socklen_t& bytes) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(&address.sun_path[1], name.data(), name.size());  // sun_path[0] == 0: abstract
  bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

}  // namespace

Listener listen_for_packets() {
  Listener listener;
  listener.name = fmt::format("baton-bench-{}", ::getpid());
  listener.socket.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  socklen_t bytes = 0;
  const sockaddr_un address = address_of(listener.name, bytes);
  if (::bind(listener.socket.get(), reinterpret_cast<const sockaddr*>(&address), bytes) != 0 ||
      ::listen(listener.socket.get(), 1) != 0) {
    fail("can't listen on a Unix socket");
  }
  return listener;
}

UniqueFd connect_for_packets(const std::string& name) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  socklen_t bytes = 0;
  const sockaddr_un address = address_of(name, bytes);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), bytes) != 0) {
    fail("can't connect a Unix socket");
  }
  return socket;
}

PacketLoop::PacketLoop(int socket, bool busy)
    : socket_(socket), busy_(busy), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket, &event) != 0) {
    fail("epoll_ctl");
  }
}

bool PacketLoop::receive(void* packet, std::size_t bytes) {
  const auto begun = std::chrono::steady_clock::now();
  while (true) {
    if (!busy_ || std::chrono::steady_clock::now() - begun > kSpin) {
      epoll_event event{};
      if (::epoll_wait(epoll_.get(), &event, 1, -1) < 0 && errno != EINTR) {
        fail("epoll_wait");
      }
    }
    const ssize_t got = ::recv(socket_, packet, bytes, MSG_DONTWAIT);
    if (got == static_cast<ssize_t>(bytes)) {
      return true;
    }
    if (got >= 0 || (errno != EAGAIN && errno != EINTR)) {
      return false;
    }
  }
}

void PacketLoop::send(const void* packet, std::size_t bytes) {
  if (::send(socket_, packet, bytes, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes)) {
    fail("can't send a packet");
  }
}

}  // namespace baton::bench
