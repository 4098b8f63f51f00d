#include "src/transport/tcp/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace baton::transport::tcp {
namespace {

// So that a flood does not push out honest connections before they are accepted.
constexpr int kListenBacklog = 1024;

struct RawAddress {
  sockaddr_storage storage{};
  socklen_t bytes = sizeof(sockaddr_storage);

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

RawAddress to_raw(const Address& address) {
  RawAddress raw;
  if (address.ip.size() == Address::kIpv4Bytes) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    std::memcpy(&v4.sin_addr, address.ip.data(), sizeof(v4.sin_addr));
    std::memcpy(&raw.storage, &v4, sizeof(v4));
    raw.bytes = sizeof(v4);
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    std::memcpy(&v6.sin6_addr, address.ip.data(), sizeof(v6.sin6_addr));
    std::memcpy(&raw.storage, &v6, sizeof(v6));
    raw.bytes = sizeof(v6);
  }
  return raw;
}

Address from_raw(const RawAddress& raw) {
  if (raw.get()->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &raw.storage, sizeof(v4));
    return {{reinterpret_cast<const char*>(&v4.sin_addr), sizeof(v4.sin_addr)}, ntohs(v4.sin_port)};
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, &raw.storage, sizeof(v6));
  return {{reinterpret_cast<const char*>(&v6.sin6_addr), sizeof(v6.sin6_addr)},
          ntohs(v6.sin6_port)};
}

Status system_error(std::string_view what, const Address& address, int error) {
  return absl::UnavailableError(
      fmt::format("{} {}: {}", what, address.to_string(), std::strerror(error)));
}

UniqueFd make_socket(const RawAddress& raw) {
  return UniqueFd(
      socket(raw.get()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
}

std::string source_of(const std::string& ip) {
  constexpr std::size_t kNetworkBytes = 8;
  constexpr std::string_view kV4Mapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  if (ip.size() == Address::kIpv4Bytes || ip.starts_with(kV4Mapped)) {
    return ip.substr(ip.size() - Address::kIpv4Bytes);
  }
  return ip.substr(0, kNetworkBytes);
}

// Options are wishes: a kernel that refuses one still gives a working connection.
void set_option(const UniqueFd& socket, int level, int name, int value) {
  setsockopt(socket.get(), level, name, &value, sizeof(value));
}

}  // namespace

std::string Address::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool v4 = ip.size() == kIpv4Bytes;
  inet_ntop(v4 ? AF_INET : AF_INET6, ip.data(), text.data(), text.size());
  return v4 ? fmt::format("{}:{}", text.data(), port) : fmt::format("[{}]:{}", text.data(), port);
}

StatusOr<Address> resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (failure != 0) {
    return absl::InvalidArgumentError(
        fmt::format("can't resolve host '{}': {}", host, gai_strerror(failure)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  RawAddress raw;
  raw.bytes = found->ai_addrlen;
  std::memcpy(&raw.storage, found->ai_addr, found->ai_addrlen);
  Address address = from_raw(raw);
  address.port = port;
  return address;
}

StatusOr<UniqueFd> listen_on(const Address& address) {
  const RawAddress raw = to_raw(address);
  UniqueFd socket = make_socket(raw);
  if (!socket) {
    return system_error("can't make a socket for", address, errno);
  }
  // A restarted receiver must not wait for its former connections to be forgotten.
  set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  if (bind(socket.get(), raw.get(), raw.bytes) != 0 || listen(socket.get(), kListenBacklog) != 0) {
    return system_error("can't listen on", address, errno);
  }
  return socket;
}

StatusOr<Address> bound_address(const UniqueFd& socket) {
  RawAddress raw;
  if (getsockname(socket.get(), raw.get(), &raw.bytes) != 0) {
    return absl::InternalError(fmt::format("getsockname: {}", std::strerror(errno)));
  }
  return from_raw(raw);
}

StatusOr<UniqueFd> start_connect(const Address& address) {
  const RawAddress raw = to_raw(address);
  UniqueFd socket = make_socket(raw);
  if (!socket) {
    return system_error("can't make a socket for", address, errno);
  }
  if (connect(socket.get(), raw.get(), raw.bytes) != 0 && errno != EINPROGRESS) {
    return system_error("can't connect to", address, errno);
  }
  return socket;
}

Status connect_result(const UniqueFd& socket) {
  int error = 0;
  socklen_t bytes = sizeof(error);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) {
    error = errno;
  }
  return error == 0
             ? absl::OkStatus()
             : absl::UnavailableError(fmt::format("can't connect: {}", std::strerror(error)));
}

Accepted accept_from(const UniqueFd& listener) {
  RawAddress raw;
  UniqueFd socket(accept4(listener.get(), raw.get(), &raw.bytes, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket) {
    return {};
  }
  return {std::move(socket), source_of(from_raw(raw).ip)};
}

void tune(const UniqueFd& socket, const TcpOptions& options) {
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.socket_buffer_bytes > 0) {
    const int bytes = static_cast<int>(options.socket_buffer_bytes);
    set_option(socket, SOL_SOCKET, SO_SNDBUF, bytes);
    set_option(socket, SOL_SOCKET, SO_RCVBUF, bytes);
  }
}

void reset_on_close(const UniqueFd& socket) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

}  // namespace baton::transport::tcp
