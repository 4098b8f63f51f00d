// Baton's own data plane between hosts: docs/protocol-tcp.md is its specification.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/transport/tcp/acceptor.h"
#include "src/transport/tcp/inbound.h"
#include "src/transport/tcp/outbound.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/transport.h"

namespace baton::transport {

/// The guard is asked before each piece. A write that it refuses, or that does not fit its page,
/// ends the connection and is counted. Fence: the receiver's socket is closed inside revoke().
class TcpTransport final : public Transport {
 public:
  /// Binds; from any thread. Serves from attach() on.
  static StatusOr<std::unique_ptr<TcpTransport>> create(Reactor& reactor, const PeerId& self,
                                                        TcpOptions options);

  std::string_view name() const override { return "tcp"; }
  Status attach(RegisteredBuffer& buffer) override;
  void set_guard(const WriteGuard* guard) override { target_.guard = guard; }
  void set_observer(TransportObserver* observer) override { observer_ = observer; }
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

  const TcpStats& stats() const { return target_.stats; }
  /// What tickets carry.
  const tcp::Address& address() const { return address_; }

 private:
  /// A peer that may connect, or has connected.
  struct Writer {
    tcp::Token token{};
    std::unique_ptr<tcp::Inbound> connection;
  };

  TcpTransport(Reactor& reactor, const PeerId& self, TcpOptions options, UniqueFd listener,
               tcp::Address address);

  void on_arrival(UniqueFd socket, const tcp::Hello& hello);
  Writer* authenticate(const tcp::Hello& hello);
  void on_writer_ended(const PeerId& writer, const Status& why);
  void fire_fences(const PeerId& peer);
  StatusOr<tcp::Ticket> check_ticket(const PeerId& receiver, std::string_view ticket) const;
  void on_receiver_ended(const PeerId& receiver, const Status& why, bool was_open);
  Status check(const std::vector<WriteOp>& ops) const;
  /// Runs `task` in a turn of its own, unless join() comes first.
  void post(Task task);
  void tell(absl::AnyInvocable<void(TransportObserver&)> news);

  Reactor& reactor_;
  const PeerId self_;
  const TcpOptions options_;
  UniqueFd listener_;  // until attach()
  const tcp::Address address_;
  /// Compared with the tokens of unknown peers, so that they take as long as known ones.
  const tcp::Token decoy_ = tcp::random_token();
  TransportObserver* observer_ = nullptr;
  bool closed_ = false;

  tcp::WriteTarget target_;
  std::map<PeerId, Writer> writers_;
  std::map<PeerId, std::vector<Task>> fences_;  // proven, told in the next turn
  std::map<PeerId, std::unique_ptr<tcp::Outbound>> receivers_;
  std::unique_ptr<tcp::Acceptor> acceptor_;
  /// Posted tasks hold it weakly; it goes with join().
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace baton::transport
