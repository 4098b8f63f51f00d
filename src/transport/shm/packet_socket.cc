#include "src/transport/shm/packet_socket.h"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>

#include "src/transport/shm/shm_messages.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77  // Linux 6.5; Debian 12's headers are older
#endif

namespace baton::transport::shm {
namespace {

constexpr int kSocketType = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

/// Senders that connect while the loop is busy wait here. The kernel caps it at somaxconn.
constexpr int kBacklog = 1024;

/// What net.core.wmem_max is by default.
constexpr int kBulkBufferBytes = 212'992;

/// Room to receive descriptors: one is legal. Those beyond the room are closed by the kernel.
constexpr std::size_t kMaxDescriptors = 4;

struct Address {
  sockaddr_un raw{};
  socklen_t bytes = 0;

  explicit Address(const std::string& name) {
    raw.sun_family = AF_UNIX;
    std::memcpy(raw.sun_path + 1, name.data(), name.size());  // sun_path[0] == 0: abstract
    bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&raw); }
};

Status failed(std::string_view what) {
  return absl::UnavailableError(fmt::format("shm: {}: {}", what, std::strerror(errno)));
}

/// Takes over what came along with a packet.
void take_ancillary(msghdr& message, Received& received) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET) {
      continue;
    }
    if (part->cmsg_type == SCM_RIGHTS) {
      const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
        received.descriptors.emplace_back(fd);
      }
    } else if (part->cmsg_type == SCM_CREDENTIALS) {
      ucred credentials{};
      std::memcpy(&credentials, CMSG_DATA(part), sizeof(credentials));
      received.sender_pid = credentials.pid;
    }
  }
}

/// recvmsg, reading on after ECONNRESET: Linux reports it when the peer closed with unread input,
/// before what the peer had sent, and once only.
ssize_t receive_past_reset(int socket, msghdr& message) {
  const msghdr fresh = message;
  ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && (errno == EINTR || errno == ECONNRESET)) {
    message = fresh;
    count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  }
  return count;
}

bool hung_up(int socket) {
  pollfd poll_fd{.fd = socket, .events = 0, .revents = 0};
  return poll(&poll_fd, 1, 0) != 0;
}

}  // namespace

std::string socket_name(const Bytes16& socket_id) {
  return "baton-shm-" + Epoch{socket_id}.hex();
}

StatusOr<UniqueFd> listen_on(const std::string& name) {
  const Address address(name);
  UniqueFd socket(::socket(AF_UNIX, kSocketType, 0));
  const int on = 1;
  if (!socket || setsockopt(socket.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0 ||
      bind(socket.get(), address.get(), address.bytes) != 0 ||
      listen(socket.get(), kBacklog) != 0) {
    return failed("can't listen on a Unix socket");
  }
  return socket;
}

StatusOr<UniqueFd> connect_to(const std::string& name) {
  const Address address(name);
  UniqueFd socket(::socket(AF_UNIX, kSocketType, 0));
  if (!socket || connect(socket.get(), address.get(), address.bytes) != 0) {
    return failed("can't connect to the receiver");
  }
  return socket;
}

Status send_packet(int socket, std::string_view bytes, int passed_fd) {
  iovec part{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (passed_fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &passed_fd, sizeof(int));
  }
  ssize_t sent = -1;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? failed("can't send to the peer") : absl::OkStatus();
}

void make_room_for_bulk(int socket) {
  // As much as an unprivileged process may have; the kernel doubles it. Without, less is in flight.
  const int bytes = kBulkBufferBytes;
  setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

StatusOr<bool> send_bulk(int socket, std::string_view head, std::string_view bytes) {
  int unread_bytes = 0;
  if (ioctl(socket, SIOCOUTQ, &unread_bytes) != 0) {
    return failed("can't send to the peer");
  }
  if (unread_bytes > kBulkBufferBytes) {
    return false;
  }
  std::array<iovec, 2> parts{iovec{const_cast<char*>(head.data()), head.size()},
                             iovec{const_cast<char*>(bytes.data()), bytes.size()}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  ssize_t sent = -1;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) {
    return false;
  }
  return sent < 0 ? StatusOr<bool>(failed("can't send to the peer")) : true;
}

Received receive_packet(int socket) {
  // One for the thread: on the stack it would be cleared for every packet.
  thread_local std::array<char, kMaxPacketBytes + 1> buffer;
  alignas(cmsghdr)
      std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(kMaxDescriptors * sizeof(int))>
          control{};
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();

  Received received;
  const ssize_t count = receive_past_reset(socket, message);
  if (count < 0) {
    const bool nothing_yet = errno == EAGAIN || errno == EWOULDBLOCK;
    received.kind = nothing_yet ? Received::Kind::kNothing : Received::Kind::kEnd;
    return received;
  }
  take_ancillary(message, received);
  // An empty packet looks like the end of the stream, and breaks the rules anyway.
  received.kind = count == 0 ? Received::Kind::kEnd : Received::Kind::kPacket;
  received.bytes = {buffer.data(), static_cast<std::size_t>(count)};
  return received;
}

StatusOr<PeerProcess> peer_process(int socket) {
  ucred credentials{};
  socklen_t bytes = sizeof(credentials);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) {
    return failed("can't learn who the peer is");
  }
  return PeerProcess{.pid = credentials.pid, .user = credentials.uid};
}

StatusOr<UniqueFd> open_peer_pidfd(int socket, pid_t pid) {
  if (pid <= 0) {
    return absl::PermissionDeniedError(
        "shm: the peer is in another PID namespace, so its end can't be proven; use tcp");
  }
  int raw = -1;
  socklen_t bytes = sizeof(raw);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &raw, &bytes) == 0) {
    return UniqueFd(raw);
  }
  if (errno != ENOPROTOOPT) {
    return failed("the peer's process is gone");
  }
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  // Still connected after the open: the process lived, so its pid was not another's.
  if (!pidfd || hung_up(socket)) {
    return failed("the peer's process is gone");
  }
  return pidfd;
}

}  // namespace baton::transport::shm
