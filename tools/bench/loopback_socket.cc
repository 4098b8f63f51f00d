#include "tools/bench/loopback_socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tools/bench/failed.h"

namespace baton::bench {
namespace {

[[noreturn]] void fail(const char* what) {
  throw Failed(fmt::format("{}: {}", what, std::strerror(errno)));
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

UniqueFd no_delay(UniqueFd socket) {
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

}  // namespace

LoopbackListener listen_on_loopback() {
  LoopbackListener listener{UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
  sockaddr_in address = loopback(0);
  socklen_t bytes = sizeof address;
  if (::bind(listener.socket.get(), reinterpret_cast<sockaddr*>(&address), bytes) != 0 ||
      ::listen(listener.socket.get(), 8) != 0 ||
      ::getsockname(listener.socket.get(), reinterpret_cast<sockaddr*>(&address), &bytes) != 0) {
    fail("can't listen on loopback");
  }
  listener.port = ntohs(address.sin_port);
  return listener;
}

UniqueFd accept_one(const LoopbackListener& listener) {
  UniqueFd socket(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket) {
    fail("can't accept on loopback");
  }
  return no_delay(std::move(socket));
}

UniqueFd connect_to_loopback(std::uint16_t port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail("can't connect to loopback");
  }
  return no_delay(std::move(socket));
}

}  // namespace baton::bench
