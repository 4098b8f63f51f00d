#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "src/base/unique_fd.h"
#include "src/transport/tcp/address.h"
#include "tools/doctor/probe.h"
#include "tools/doctor/text.h"

namespace baton::doctor {
namespace {

using transport::tcp::Address;

/// The address that this host would speak from. Connecting a datagram socket sends nothing.
std::string source_of_route(const Address& to) {
  const bool v4 = to.ip.size() == Address::kIpv4Bytes;
  const UniqueFd socket(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  constexpr std::uint16_t kAnyPort = 9;  // only the address matters
  sockaddr_in in4{};
  in4.sin_family = AF_INET;
  in4.sin_port = htons(kAnyPort);
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(kAnyPort);
  std::memcpy(v4 ? static_cast<void*>(&in4.sin_addr) : &in6.sin6_addr, to.ip.data(), to.ip.size());
  const auto* const raw =
      v4 ? reinterpret_cast<const sockaddr*>(&in4) : reinterpret_cast<const sockaddr*>(&in6);
  if (!socket || ::connect(socket.get(), raw, v4 ? sizeof in4 : sizeof in6) != 0) {
    return {};
  }
  const StatusOr<Address> own = transport::tcp::bound_address(socket);
  return own.ok() ? own->ip : std::string();
}

Status connect_within(const Address& to, std::chrono::milliseconds limit) {
  const StatusOr<UniqueFd> socket = transport::tcp::start_connect(to);
  if (!socket.ok()) {
    return socket.status();
  }
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd wait{.fd = socket->get(), .events = POLLOUT, .revents = 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready > 0) {
      return transport::tcp::connect_result(*socket);
    }
    if (ready == 0) {
      return absl::DeadlineExceededError(
          fmt::format("{} didn't answer within {} ms", to.to_string(), limit.count()));
    }
    if (errno != EINTR) {
      return absl::InternalError(fmt::format("poll: {}", std::strerror(errno)));
    }
  }
}

}  // namespace

bool is_own_address(const HostFacts& facts, std::string_view ip) {
  constexpr char kLoopbackNet = 127;
  return (ip.size() == Address::kIpv4Bytes && ip[0] == kLoopbackNet) ||
         std::any_of(facts.addresses.begin(), facts.addresses.end(),
                     [&](const HostAddress& own) { return own.ip == ip; });
}

PeerFacts probe_peer(const std::string& host, std::optional<std::uint16_t> port,
                     const HostFacts& facts) {
  PeerFacts peer;
  peer.host = host;
  peer.port = port;
  const StatusOr<Address> address = transport::tcp::resolve(host, port.value_or(0));
  peer.resolved = address.status();
  if (!address.ok()) {
    return peer;
  }
  peer.address = ip_text(address->ip);
  peer.is_own = is_own_address(facts, address->ip);
  peer.source_ip = source_of_route(*address);
  const auto from = std::find_if(
      facts.addresses.begin(), facts.addresses.end(),
      [&](const HostAddress& own) { return !own.ip.empty() && own.ip == peer.source_ip; });
  if (from != facts.addresses.end()) {
    peer.netdev = from->netdev;
  }
  if (port) {
    peer.answered = connect_within(*address, kConnectTimeout);
  }
  return peer;
}

}  // namespace baton::doctor
