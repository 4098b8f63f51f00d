// The listening socket, and the connections that have not proven who they are yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "src/transport/tcp/opening.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/tcp/watched_socket.h"
#include "src/transport/waiting_room.h"

namespace baton::transport::tcp {

/// Knows who is expected. Called from the loop, never from inside a call of the Acceptor.
class Doorkeeper {
 public:
  virtual ~Doorkeeper() = default;
  /// The secret that who says this hello has to know; a decoy, which nobody knows, where the hello
  /// fits no ticket. Either way the same happens next.
  virtual const Secret& secret_for(const Hello& hello) const = 0;
  /// The hello is proven. Is there room for this stream?
  virtual bool fits(const Hello& hello) const = 0;
  /// It fits, and has been told so.
  virtual void take_in(UniqueFd socket, const Hello& hello) = 0;
};

/// hello → challenged → handed over or closed. A guest costs a descriptor, a timer and about half a
/// kilobyte, for a bounded time; there is a bounded number of them. On the loop only.
class Acceptor {
 public:
  Acceptor(Reactor& reactor, const TcpOptions& options, UniqueFd listener, TcpStats& stats,
           Doorkeeper& keeper);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

 private:
  struct Guest {
    std::unique_ptr<WatchedSocket> socket;
    TimerId timer = kNoTimer;
    HelloBytes received{};  // the hello, then the proof
    std::size_t received_bytes = 0;
    std::optional<Hello> hello;  // once challenged
    Nonce nonce{};               // ours, with the challenge
  };
  using Room = WaitingRoom<std::string>;
  using GuestId = Room::GuestId;

  void accept_some();
  void pause();
  void welcome(UniqueFd socket, std::string source);
  void on_ready(GuestId id);
  void take_hello(GuestId id);
  void challenge(GuestId id, const Hello& hello);
  void take_proof(GuestId id);
  bool is_proven(const Guest& guest) const;
  void refuse(GuestId id, std::span<const std::byte> last_words);
  void expire(GuestId id);
  Guest take(GuestId id);

  Reactor& reactor_;
  const TcpOptions& options_;
  TcpStats& stats_;
  Doorkeeper& keeper_;
  Room room_;
  std::map<GuestId, Guest> guests_;
  TimerId resume_timer_ = kNoTimer;
  WatchedSocket listener_;
};

}  // namespace baton::transport::tcp
