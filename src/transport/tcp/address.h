// Numeric addresses and the sockets made from them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "baton/status.h"
#include "src/base/unique_fd.h"
#include "src/transport/tcp/tcp_options.h"

namespace baton::transport::tcp {

struct Address {
  static constexpr std::size_t kIpv4Bytes = 4;
  static constexpr std::size_t kIpv6Bytes = 16;

  std::string ip;  ///< 4 or 16 bytes, network byte order
  std::uint16_t port = 0;

  bool is_wildcard() const { return ip.find_first_not_of('\0') == std::string::npos; }
  /// "127.0.0.1:80", "[::1]:80"
  std::string to_string() const;
};

/// May ask a name server: at start-up only. kInvalidArgument if there is no such host.
StatusOr<Address> resolve(const std::string& host, std::uint16_t port);

/// Non-blocking, listening.
StatusOr<UniqueFd> listen_on(const Address& address);
/// Where it is really bound.
StatusOr<Address> bound_address(const UniqueFd& socket);

/// Non-blocking; becomes writable when it is connected or has failed (see connect_result).
StatusOr<UniqueFd> start_connect(const Address& address);
Status connect_result(const UniqueFd& socket);

/// An accepted connection, and whom to hold responsible for it: the remote IPv4 address, or an IPv6
/// network of 64 bits, all of which one host may have. No socket: errno says why.
struct Accepted {
  UniqueFd socket;
  std::string source;
};
Accepted accept_from(const UniqueFd& listener);

/// No delay, and buffers.
void tune(const UniqueFd& socket, const TcpOptions& options);
/// The next close() discards what is unsent and resets the connection.
void reset_on_close(const UniqueFd& socket);

}  // namespace baton::transport::tcp
