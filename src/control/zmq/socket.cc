#include "src/control/zmq/socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <zmq.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>

#include "src/control/zmq/zmq_network.h"

namespace baton::control::zmq_detail {
namespace {

constexpr std::size_t kMaxEndpointBytes = 1024;
// No handler, no admission. Stable libzmq takes it, but its header names it for drafts only.
constexpr int kZapEnforceDomain = 93;
constexpr std::chrono::milliseconds kLongestTime = std::chrono::hours(1);
// ZMQ_HEARTBEAT_TTL travels as 16 bits of tenths of a second.
constexpr std::chrono::milliseconds kLongestHeartbeat{6'553'500};

int socket_type(SocketKind kind) {
  switch (kind) {
    case SocketKind::kRouter:
      return ZMQ_ROUTER;
    case SocketKind::kDealer:
      return ZMQ_DEALER;
    case SocketKind::kPush:
      return ZMQ_PUSH;
    case SocketKind::kPull:
      return ZMQ_PULL;
  }
  std::abort();
}

Status check(const ZmqOptions& options) {
  const auto out_of_range = [](std::string_view name, auto value, auto lowest, auto highest) {
    return absl::InvalidArgumentError(
        fmt::format("ZeroMQ option {} is {}; must be {} to {}", name, value, lowest, highest));
  };
  constexpr auto kMaxBytes = static_cast<std::size_t>(std::numeric_limits<int>::max());
  if (options.hwm < 1) {
    return out_of_range("hwm", options.hwm, 1, std::numeric_limits<int>::max());
  }
  if (options.receive_hwm < 1) {
    return out_of_range("receive_hwm", options.receive_hwm, 1, std::numeric_limits<int>::max());
  }
  if (options.max_message_bytes < 1 || options.max_message_bytes > kMaxBytes) {
    return out_of_range("max_message_bytes", options.max_message_bytes, 1, kMaxBytes);
  }
  struct Time {
    std::string_view name;
    std::chrono::milliseconds value;
    int lowest;
    std::chrono::milliseconds highest;
  };
  for (const Time& time :
       {Time{"linger_ms", options.linger_ms, 0, kLongestTime},
        Time{"heartbeat_ms", options.heartbeat_ms, 0, kLongestHeartbeat},
        Time{"heartbeat_timeout_ms", options.heartbeat_timeout_ms, 1, kLongestHeartbeat},
        Time{"reconnect_ms", options.reconnect_ms, 1, kLongestTime},
        Time{"connect_timeout_ms", options.connect_timeout_ms, 1, kLongestTime}}) {
    if (time.value.count() < time.lowest || time.value > time.highest) {
      return out_of_range(time.name, time.value.count(), time.lowest, time.highest.count());
    }
  }
  return absl::OkStatus();
}

/// Sets options and remembers whether all were accepted.
class OptionSetter {
 public:
  explicit OptionSetter(void* socket) : socket_(socket) {}

  void set(int option, int value) {
    ok_ = zmq_setsockopt(socket_, option, &value, sizeof value) == 0 && ok_;
  }
  void set(int option, std::chrono::milliseconds value) {
    set(option, static_cast<int>(value.count()));
  }
  void set_wide(int option, std::int64_t value) {
    ok_ = zmq_setsockopt(socket_, option, &value, sizeof value) == 0 && ok_;
  }
  void set(int option, const security::KeyBytes& key) {
    ok_ = zmq_setsockopt(socket_, option, key.data(), key.size()) == 0 && ok_;
  }
  void set(int option, std::string_view text) {
    ok_ = zmq_setsockopt(socket_, option, text.data(), text.size()) == 0 && ok_;
  }
  bool ok() const { return ok_; }
  /// Keys are well-formed, so a refusal means that libzmq has no CURVE.
  Status curve_status() const {
    return ok_ ? absl::OkStatus()
               : absl::FailedPreconditionError(
                     "this libzmq was built without CURVE; install one with libsodium, or set "
                     "pd_security: none");
  }

 private:
  void* const socket_;
  bool ok_ = true;
};

bool apply(void* socket, SocketKind kind, const ZmqOptions& options) {
  OptionSetter setter(socket);
  setter.set(ZMQ_IPV6, 0);
  setter.set(ZMQ_LINGER, options.linger_ms);
  setter.set(ZMQ_SNDHWM, options.hwm);
  const bool serves = kind == SocketKind::kRouter || kind == SocketKind::kPull;
  setter.set(ZMQ_RCVHWM, serves ? options.receive_hwm : options.hwm);
  setter.set_wide(ZMQ_MAXMSGSIZE, static_cast<std::int64_t>(options.max_message_bytes));
  setter.set(ZMQ_HANDSHAKE_IVL, options.connect_timeout_ms);
  setter.set(ZMQ_CONNECT_TIMEOUT, options.connect_timeout_ms);
  if (options.heartbeat_ms.count() > 0) {
    setter.set(ZMQ_HEARTBEAT_IVL, options.heartbeat_ms);
    setter.set(ZMQ_HEARTBEAT_TIMEOUT, options.heartbeat_timeout_ms);
    setter.set(ZMQ_HEARTBEAT_TTL, options.heartbeat_timeout_ms);
  }
  if (kind == SocketKind::kRouter) {
    setter.set(ZMQ_ROUTER_MANDATORY, 1);
  }
  if (kind == SocketKind::kPush) {
    setter.set(ZMQ_IMMEDIATE, 1);
    setter.set(ZMQ_RECONNECT_IVL, -1);
  } else {
    setter.set(ZMQ_RECONNECT_IVL, options.reconnect_ms);
  }
  return setter.ok();
}

Status endpoint_error(std::string_view what, const std::string& endpoint) {
  const int error = errno;
  const std::string message = fmt::format("can't {} {}: {}", what, endpoint, zmq_strerror(error));
  // Endpoints that can never work, as opposed to those that are taken, or not reachable now.
  if (error == EINVAL || error == EPROTONOSUPPORT || error == ENOCOMPATPROTO || error == ENODEV) {
    return absl::InvalidArgumentError(message);
  }
  return absl::UnavailableError(message);
}

/// The endpoint with its host's IPv4 address, if that is a name which has one.
std::optional<std::string> resolved(const std::string& endpoint) {
  constexpr std::string_view kTcp = "tcp://";
  const std::size_t colon = endpoint.rfind(':');
  if (!endpoint.starts_with(kTcp) || colon < kTcp.size()) {
    return std::nullopt;
  }
  const std::string host = endpoint.substr(kTcp.size(), colon - kTcp.size());
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) {
    return std::nullopt;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  sockaddr_in address{};
  std::memcpy(&address, found->ai_addr, sizeof address);
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  return fmt::format("{}{}{}", kTcp, text.data(), endpoint.substr(colon));
}

}  // namespace

Context::Context() : handle_(zmq_ctx_new()) {
  if (handle_ == nullptr) {
    std::abort();  // No memory for a few hundred bytes.
  }
}

Context::~Context() {
  while (zmq_ctx_term(handle_) != 0 && errno == EINTR) {
  }
}

StatusOr<Socket> Socket::open(Context& context, SocketKind kind, const ZmqOptions& options) {
  if (Status valid = check(options); !valid.ok()) {
    return valid;
  }
  Socket socket(zmq_socket(context.handle(), socket_type(kind)));
  if (socket.handle_ == nullptr) {
    return absl::ResourceExhaustedError(
        fmt::format("can't make another ZeroMQ socket: {}", zmq_strerror(errno)));
  }
  if (!apply(socket.handle_, kind, options)) {
    return absl::InternalError(
        fmt::format("libzmq refused a socket option: {}", zmq_strerror(errno)));
  }
  return socket;
}

void Socket::close() {
  if (handle_ != nullptr) {
    zmq_close(std::exchange(handle_, nullptr));
  }
}

void Socket::drop_unsent() {
  const int none = 0;
  zmq_setsockopt(handle_, ZMQ_LINGER, &none, sizeof none);
}

Status Socket::set_identity(std::string_view identity) {
  if (zmq_setsockopt(handle_, ZMQ_ROUTING_ID, identity.data(), identity.size()) != 0) {
    return absl::InvalidArgumentError(
        fmt::format("ZeroMQ refuses an identity of {} bytes", identity.size()));
  }
  return absl::OkStatus();
}

Status Socket::require_keys(const security::SecretKey& own, std::string_view zap_domain) {
  OptionSetter setter(handle_);
  setter.set(ZMQ_CURVE_SERVER, 1);
  setter.set(ZMQ_CURVE_SECRETKEY, own.bytes());
  setter.set(ZMQ_ZAP_DOMAIN, zap_domain);
  // Where libzmq doesn't know it, messages without a key are dropped later (KeyGuard).
  const int enforce = 1;
  zmq_setsockopt(handle_, kZapEnforceDomain, &enforce, sizeof enforce);
  return setter.curve_status();
}

Status Socket::use_key(const security::SecretKey& own, const security::PublicKey& server) {
  OptionSetter setter(handle_);
  setter.set(ZMQ_CURVE_SERVERKEY, server.bytes());
  setter.set(ZMQ_CURVE_PUBLICKEY, own.public_key().bytes());
  setter.set(ZMQ_CURVE_SECRETKEY, own.bytes());
  return setter.curve_status();
}

Status Socket::bind(const std::string& endpoint) {
  if (zmq_bind(handle_, endpoint.c_str()) == 0) {
    return absl::OkStatus();
  }
  // libzmq binds to addresses and interfaces only, but a receiver's host may be "localhost".
  if (errno == ENODEV) {
    const std::optional<std::string> address = resolved(endpoint);
    if (address.has_value() && zmq_bind(handle_, address->c_str()) == 0) {
      return absl::OkStatus();
    }
    errno = address.has_value() ? errno : ENODEV;
  }
  return endpoint_error("bind", endpoint);
}

Status Socket::connect(const std::string& endpoint) {
  return zmq_connect(handle_, endpoint.c_str()) == 0 ? absl::OkStatus()
                                                     : endpoint_error("connect to", endpoint);
}

std::string Socket::last_endpoint() const {
  std::array<char, kMaxEndpointBytes> text{};
  std::size_t bytes = text.size();
  if (zmq_getsockopt(handle_, ZMQ_LAST_ENDPOINT, text.data(), &bytes) != 0) {
    return {};
  }
  return text.data();
}

StatusOr<Socket> Socket::open_monitor(Context& context) {
  static std::atomic<std::uint64_t> number{0};  // Names must differ within a context only.
  const std::string endpoint = fmt::format("inproc://baton-monitor-{}", ++number);
  constexpr int kEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                          ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                          ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED;
  Socket monitor(zmq_socket(context.handle(), ZMQ_PAIR));
  if (monitor.handle_ == nullptr || zmq_socket_monitor(handle_, endpoint.c_str(), kEvents) != 0) {
    return absl::ResourceExhaustedError(
        fmt::format("can't make a ZeroMQ socket monitor: {}", zmq_strerror(errno)));
  }
  monitor.drop_unsent();
  // No bound: at one, libzmq's I/O thread would wait for us, holding what stop_monitor() needs.
  const int unbounded = 0;
  zmq_setsockopt(monitor.handle_, ZMQ_RCVHWM, &unbounded, sizeof unbounded);
  if (Status connected = monitor.connect(endpoint); !connected.ok()) {
    stop_monitor();
    return connected;
  }
  return monitor;
}

void Socket::stop_monitor() {
  zmq_socket_monitor(handle_, nullptr, 0);
}

int Socket::fd() const {
  int fd = -1;
  std::size_t bytes = sizeof fd;
  zmq_getsockopt(handle_, ZMQ_FD, &fd, &bytes);
  return fd;
}

Socket::Events Socket::events() const {
  int events = 0;
  std::size_t bytes = sizeof events;
  zmq_getsockopt(handle_, ZMQ_EVENTS, &events, &bytes);
  return {.readable = (events & ZMQ_POLLIN) != 0, .writable = (events & ZMQ_POLLOUT) != 0};
}

int Socket::send(std::initializer_list<std::string_view> frames) {
  std::size_t left = frames.size();
  for (const std::string_view frame : frames) {
    const int flags = ZMQ_DONTWAIT | (--left > 0 ? ZMQ_SNDMORE : 0);
    // If the peer vanishes between two frames libzmq takes back the frames before.
    int sent = 0;
    do {
      sent = zmq_send(handle_, frame.data(), frame.size(), flags);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
      return errno;
    }
  }
  return 0;
}

Socket::Read Socket::receive_frame(std::string& frame, std::string& user) {
  zmq_msg_t message;
  zmq_msg_init(&message);
  int received = 0;
  do {
    received = zmq_msg_recv(&message, handle_, ZMQ_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  Read result = Read::kNothing;
  if (received >= 0) {
    frame.assign(static_cast<const char*>(zmq_msg_data(&message)), zmq_msg_size(&message));
    const char* const id = user.empty() ? zmq_msg_gets(&message, "User-Id") : nullptr;
    if (id != nullptr) {
      user = id;
    }
    result = zmq_msg_more(&message) != 0 ? Read::kMoreFollows : Read::kLastFrame;
  }
  zmq_msg_close(&message);
  return result;
}

ConnectionEvent connection_event(std::string_view monitor_frame) {
  std::uint16_t event = 0;
  std::uint32_t detail = 0;
  if (monitor_frame.size() < sizeof event + sizeof detail) {
    return ConnectionEvent::kOther;
  }
  std::memcpy(&event, monitor_frame.data(), sizeof event);
  std::memcpy(&detail, monitor_frame.data() + sizeof event, sizeof detail);
  switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      return ConnectionEvent::kReady;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      return ConnectionEvent::kKeyRefused;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      return detail == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
                 ? ConnectionEvent::kOtherSecurity
                 : ConnectionEvent::kHandshakeBroken;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      return ConnectionEvent::kHandshakeBroken;
    case ZMQ_EVENT_CLOSED:
    case ZMQ_EVENT_DISCONNECTED:
      return ConnectionEvent::kEnded;
    default:
      return ConnectionEvent::kOther;
  }
}

}  // namespace baton::control::zmq_detail
