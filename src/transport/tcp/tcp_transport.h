// Baton's own data plane between hosts: docs/protocol-tcp.md is its specification.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/transport/observer_post.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/tcp/tcp_receiver.h"
#include "src/transport/tcp/tcp_sender.h"
#include "src/transport/transport.h"

namespace baton::transport {

/// The guard is asked before each piece. A write that it refuses, or that does not fit its page,
/// ends the connection and is counted. Fence: the receiver's sockets are closed inside revoke().
class TcpTransport final : public Transport {
 public:
  /// Binds; from any thread. Serves from attach() on.
  static StatusOr<std::unique_ptr<TcpTransport>> create(Reactor& reactor, const PeerId& self,
                                                        TcpOptions options);

  std::string_view name() const override { return "tcp"; }
  Status attach(RegisteredBuffer& buffer) override;
  void set_guard(const WriteGuard* guard) override { receiver_->set_guard(guard); }
  void set_observer(TransportObserver* observer) override { observer_->set(observer); }
  std::string offer() const override;
  bool can_serve(std::string_view offer) const override;
  StatusOr<std::string> expect_peer(const PeerId& peer) override;
  void revoke(const PeerId& peer, Task fenced) override;
  void connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
               Done done) override;
  void write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done) override;
  void disconnect(const PeerId& receiver) override;
  void close() override;
  void join() override;

  /// Until join().
  const TcpStats& stats() const { return receiver_->stats(); }
  /// What tickets carry.
  const tcp::Address& address() const { return receiver_->address(); }

 private:
  TcpTransport(Reactor& reactor, const PeerId& self, TcpOptions options, UniqueFd listener,
               tcp::Address address);

  Status usable() const;

  Reactor& reactor_;
  const TcpOptions options_;
  UniqueFd listener_;  // until attach()
  bool attached_ = false;
  bool closed_ = false;
  std::unique_ptr<ObserverPost> observer_;  // outlives the halves; until join(), as they
  std::unique_ptr<tcp::TcpReceiver> receiver_;
  std::unique_ptr<tcp::TcpSender> sender_;
};

}  // namespace baton::transport
