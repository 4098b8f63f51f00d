// The listening socket, and the connections that have not said who they are yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "src/transport/tcp/frames.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/tcp/watched_socket.h"

namespace baton::transport::tcp {

/// Each such guest costs a descriptor and 64 bytes, for a bounded time. On the loop only.
class Acceptor {
 public:
  /// A well-formed hello arrived; whether it is a right one, the callee decides.
  using Arrived = absl::AnyInvocable<void(UniqueFd socket, const Hello& hello)>;

  Acceptor(Reactor& reactor, const TcpOptions& options, UniqueFd listener, TcpStats& stats,
           Arrived arrived);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

 private:
  struct Guest {
    std::unique_ptr<WatchedSocket> socket;
    HelloBytes hello{};
    std::size_t received_bytes = 0;
    TimerId timer = kNoTimer;
  };
  using GuestId = std::uint64_t;  // grows: the lowest is the oldest

  void accept_some();
  void welcome(UniqueFd socket);
  void pause();
  void read_hello(GuestId id);
  void expire(GuestId id);
  Guest take(GuestId id);

  Reactor& reactor_;
  const TcpOptions& options_;
  TcpStats& stats_;
  Arrived arrived_;
  std::map<GuestId, Guest> guests_;
  GuestId next_guest_ = 0;
  TimerId resume_timer_ = kNoTimer;
  WatchedSocket listener_;
};

/// Says what became of a hello. The socket is fresh, so its buffer has room; if not, the peer's
/// deadline tells it.
void send_answer(const UniqueFd& socket, Answer answer);

}  // namespace baton::transport::tcp
