// The receiving half: who may connect, who has, and the fence.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/base/lifetime.h"
#include "src/transport/observer_post.h"
#include "src/transport/tcp/acceptor.h"
#include "src/transport/tcp/inbound_stream.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// Lives on the loop. Everything that it references outlives it.
class TcpReceiver final : private Doorkeeper {
 public:
  TcpReceiver(Reactor& reactor, const PeerId& self, const TcpOptions& options, Address address,
              ObserverPost& observer);

  /// Serves from now on.
  void start(UniqueFd listener, const RegisteredBuffer& buffer);
  void set_guard(const WriteGuard* guard) { target_.guard = guard; }

  StatusOr<std::string> expect_peer(const PeerId& peer);
  void revoke(const PeerId& peer, Task fenced);
  void close();

  const TcpStats& stats() const { return target_.stats; }
  const Address& address() const { return address_; }

 private:
  /// A peer that may connect, or has connected.
  struct Writer {
    Secret secret;
    std::uint64_t connection = 0;  ///< the last that it opened
    /// Of that connection, those that are open; not there once it has ended.
    std::vector<std::unique_ptr<InboundStream>> streams;
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
  /// For the hellos of strangers, so that they fare as others do.
  const Secret decoy_ = Secret::random();
  WriteTarget target_;
  std::map<PeerId, Writer> writers_;
  std::map<PeerId, std::vector<Task>> fences_;  // proven, told in the next turn
  std::unique_ptr<Acceptor> acceptor_;
  Lifetime lifetime_;
};

}  // namespace baton::transport::tcp
