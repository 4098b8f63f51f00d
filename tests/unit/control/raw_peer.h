// Stock peers: blocking ZeroMQ sockets and plain TCP, as strangers would use them.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <zmq.h>

#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/unique_fd.h"

namespace baton::control {

inline constexpr int kRawTimeoutMs = 20'000;

/// A libzmq socket in a context of its own. Calls block, with a limit.
class RawZmq {
 public:
  explicit RawZmq(int type) : context_(zmq_ctx_new()), socket_(zmq_socket(context_, type)) {
    set(ZMQ_LINGER, 0);
    set(ZMQ_SNDTIMEO, kRawTimeoutMs);
    set(ZMQ_RCVTIMEO, kRawTimeoutMs);
  }
  ~RawZmq() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  RawZmq(const RawZmq&) = delete;
  RawZmq& operator=(const RawZmq&) = delete;

  void set(int option, int value) {
    ASSERT_EQ(zmq_setsockopt(socket_, option, &value, sizeof value), 0);
  }
  void set(int option, std::span<const std::uint8_t> bytes) {
    ASSERT_EQ(zmq_setsockopt(socket_, option, bytes.data(), bytes.size()), 0);
  }
  void set(int option, const std::string& text) {
    ASSERT_EQ(zmq_setsockopt(socket_, option, text.data(), text.size()), 0);
  }
  void connect(const std::string& endpoint) {
    ASSERT_EQ(zmq_connect(socket_, endpoint.c_str()), 0) << zmq_strerror(zmq_errno());
  }
  std::string bind() {
    EXPECT_EQ(zmq_bind(socket_, "tcp://127.0.0.1:*"), 0) << zmq_strerror(zmq_errno());
    std::string endpoint(256, '\0');
    std::size_t bytes = endpoint.size();
    EXPECT_EQ(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, endpoint.data(), &bytes), 0);
    endpoint.resize(bytes - 1);
    return endpoint;
  }
  void send(const std::vector<std::string>& frames) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const int more = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
      ASSERT_GE(zmq_send(socket_, frames[i].data(), frames[i].size(), more), 0);
    }
  }
  /// Empty if nothing came in time.
  std::vector<std::string> receive() {
    std::vector<std::string> frames;
    bool more = true;
    while (more) {
      zmq_msg_t message;
      zmq_msg_init(&message);
      if (zmq_msg_recv(&message, socket_, 0) < 0) {
        return {};
      }
      frames.emplace_back(static_cast<const char*>(zmq_msg_data(&message)), zmq_msg_size(&message));
      more = zmq_msg_more(&message) != 0;
      zmq_msg_close(&message);
    }
    return frames;
  }

 private:
  void* const context_;
  void* const socket_;
};

inline UniqueFd tcp_socket() {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{.tv_sec = kRawTimeoutMs / 1000, .tv_usec = 0};
  EXPECT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  return fd;
}

inline sockaddr_in loopback_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// A plain TCP connection to "tcp://127.0.0.1:port".
inline UniqueFd tcp_connect(const std::string& endpoint) {
  const auto port =
      static_cast<std::uint16_t>(std::stoul(endpoint.substr(endpoint.rfind(':') + 1)));
  UniqueFd fd = tcp_socket();
  const sockaddr_in address = loopback_address(port);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

/// Bound to any port of 127.0.0.1, not listening; `endpoint` gets its ZeroMQ name.
inline UniqueFd tcp_bind(std::string& endpoint) {
  UniqueFd fd = tcp_socket();
  sockaddr_in address = loopback_address(0);
  socklen_t bytes = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  const int reuse = 1;
  EXPECT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse), 0);
  EXPECT_EQ(::bind(fd.get(), generic, bytes), 0);
  EXPECT_EQ(getsockname(fd.get(), generic, &bytes), 0);
  endpoint = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  return fd;
}

inline UniqueFd tcp_listen(std::string& endpoint) {
  UniqueFd fd = tcp_bind(endpoint);
  EXPECT_EQ(::listen(fd.get(), 8), 0);
  return fd;
}

inline void send_all(const UniqueFd& fd, std::string_view bytes) {
  ASSERT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

/// True once the peer has closed the connection; false if it didn't within the time limit.
inline bool reads_to_the_end(const UniqueFd& fd) {
  char byte = 0;
  ssize_t count = 1;
  while (count > 0) {
    count = ::recv(fd.get(), &byte, 1, 0);
  }
  return count == 0 || errno == ECONNRESET;
}

/// ZMTP 3.1: signature, version, mechanism NULL, not as a server, filler.
inline std::string zmtp_greeting() {
  return std::string("\xff\0\0\0\0\0\0\0\1\x7f\3\1NULL", 16) + std::string(48, '\0');
}

/// The whole handshake of a peer of that type.
inline std::string zmtp_hello(const std::string& socket_type) {
  const std::string property = std::string("\x0bSocket-Type\0\0\0", 15) +
                               static_cast<char>(socket_type.size()) + socket_type;
  const std::string command = std::string("\5READY", 6) + property;
  return zmtp_greeting() + '\4' + static_cast<char>(command.size()) + command;
}

}  // namespace baton::control
