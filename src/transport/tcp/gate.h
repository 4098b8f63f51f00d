// The receiving half behind a listening socket: who may connect, who has, and the fence.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/base/lifetime.h"
#include "src/transport/observer_post.h"
#include "src/transport/tcp/acceptor.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// What became of a stream that was let in. Nothing that came by it reaches a page once this is
/// destroyed: that is the fence.
class Inbound {
 public:
  /// It ended by itself. Called last, from the loop, never from the maker: may destroy the Inbound.
  using Ended = absl::AnyInvocable<void(const Status& why)>;

  virtual ~Inbound() = default;
};

/// Takes over a stream whose opening is done. `secret` is that of the ticket.
using InboundMaker = absl::AnyInvocable<std::unique_ptr<Inbound>(
    UniqueFd socket, const Hello& hello, const Secret& secret, Inbound::Ended ended)>;

/// Whether one more stream of a proven peer can be taken in now.
using RoomCheck = absl::AnyInvocable<bool(const PeerId& peer) const>;

/// Lives on the loop. Everything that it references outlives it.
class Gate final : private Doorkeeper {
 public:
  Gate(Reactor& reactor, const PeerId& self, const TcpOptions& options, Address address,
       ObserverPost& observer, RoomCheck has_room, InboundMaker make_inbound);

  /// Serves from now on.
  void start(UniqueFd listener);

  StatusOr<std::string> expect_peer(const PeerId& peer);
  void revoke(const PeerId& peer, Task fenced);
  void close();

  TcpStats& stats() { return stats_; }
  const Address& address() const { return address_; }

 private:
  /// A peer that may connect, or has connected.
  struct Writer {
    Secret secret;
    std::uint64_t connection = 0;  ///< the last that it opened
    /// Of that connection, those that are open; not there once it has ended.
    std::vector<std::unique_ptr<Inbound>> streams;
  };

  const Secret& secret_for(const Hello& hello) const override;
  bool fits(const Hello& hello) const override;
  void take_in(UniqueFd socket, const Hello& hello) override;
  void on_stream_ended(const PeerId& peer, const Status& why);

  Reactor& reactor_;
  const PeerId self_;
  const TcpOptions& options_;
  const Address address_;
  ObserverPost& observer_;
  RoomCheck has_room_;
  InboundMaker make_inbound_;
  TcpStats stats_;
  /// For the hellos of strangers, so that they fare as others do.
  const Secret decoy_ = Secret::random();
  std::map<PeerId, Writer> writers_;
  std::map<PeerId, std::vector<Task>> fences_;  // proven, told in the next turn
  std::unique_ptr<Acceptor> acceptor_;
  Lifetime lifetime_;
};

}  // namespace baton::transport::tcp
