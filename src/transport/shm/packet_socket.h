// Unix SOCK_SEQPACKET sockets on abstract addresses: packets, descriptors, and who is at the other
// end.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/base/unique_fd.h"
#include "src/transport/shm/byte_layout.h"

namespace baton::transport::shm {

/// The abstract address (without its leading zero byte) of a socket id.
std::string socket_name(const Bytes16& socket_id);

/// Non-blocking. Accepted sockets learn the sending process of every packet.
StatusOr<UniqueFd> listen_on(const std::string& name);

/// Non-blocking: connected, or kUnavailable at once (nobody there, or a full backlog).
StatusOr<UniqueFd> connect_to(const std::string& name);

/// Passes a copy of `passed_fd` along unless it is -1. Never blocks, never raises SIGPIPE.
Status send_packet(int socket, std::string_view bytes, int passed_fd = -1);

/// For bulk: `head` and `bytes` as one packet. False if there is no room for it now: half of the
/// socket's buffer stays free for the short packets that must always get through. An error means
/// that the connection is gone.
StatusOr<bool> send_bulk(int socket, std::string_view head, std::string_view bytes);
/// Before the first send_bulk() on a socket.
void make_room_for_bulk(int socket);

struct Received {
  enum class Kind : std::uint8_t {
    kNothing,  ///< nothing there now
    kEnd,      ///< nothing will come any more
    kPacket,
  };
  Kind kind = Kind::kNothing;
  /// Cut off beyond kMaxPacketBytes + 1, which no valid packet has. Valid until the next packet is
  /// received on this thread.
  std::string_view bytes;
  std::vector<UniqueFd> descriptors;
  pid_t sender_pid = 0;  ///< who sent this very packet, by the kernel's word; 0: not known
};
Received receive_packet(int socket);

/// The process at the other end: the one that called connect() or listen().
struct PeerProcess {
  pid_t pid = 0;  ///< 0: in another PID namespace
  std::uint32_t user = 0;
};
StatusOr<PeerProcess> peer_process(int socket);

/// A descriptor that becomes readable when that process has ended, whatever became of its pid.
StatusOr<UniqueFd> open_peer_pidfd(int socket, pid_t pid);

}  // namespace baton::transport::shm
