// What the transports have in common whose connections begin at a listening socket.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/transport/observer_post.h"
#include "src/transport/tcp/dialer.h"
#include "src/transport/tcp/gate.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// Tickets, proofs, connections, revoking and the order of ends; what travels over an open
/// connection is up to who derives from it.
class SocketTransport : public Transport {
 public:
  Status attach(RegisteredBuffer& buffer) final;
  void set_observer(TransportObserver* observer) final { observer_->set(observer); }
  StatusOr<std::string> expect_peer(const PeerId& peer) override;
  void revoke(const PeerId& peer, Task fenced) override;
  void connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
               Done done) final;
  void write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done) final;
  void read_batch(const PeerId& receiver, std::vector<ReadOp> ops, Done done) final;
  void disconnect(const PeerId& receiver) final;
  void close() override;
  void join() override;

  /// Until join().
  const TcpStats& stats() const { return gate_->stats(); }
  /// What tickets carry.
  const Address& address() const { return gate_->address(); }

 protected:
  struct Listener {
    UniqueFd socket;  ///< none for a transport that only writes
    Address address;
  };
  /// Checks the options, and binds.
  static StatusOr<Listener> listen(const TcpOptions& options);

  SocketTransport(Reactor& reactor, const PeerId& self, TcpOptions options, Listener listener);

  /// The memory is there: before the first connection.
  virtual Status attach_plane(RegisteredBuffer& buffer) = 0;
  /// Is all there that a writer needs?
  virtual Status can_expect() const { return absl::OkStatus(); }
  /// Can one more stream of this peer, which is proven, be taken in? Refused if not.
  virtual bool has_room(const PeerId& /*peer*/) const { return true; }
  virtual std::unique_ptr<Inbound> make_inbound(UniqueFd socket, const Hello& hello,
                                                const Secret& secret, Inbound::Ended ended) = 0;
  virtual std::unique_ptr<Outbound> make_outbound(Call call) = 0;

  Reactor& reactor() { return reactor_; }
  const TcpOptions& line_options() const { return options_; }
  TcpStats& mutable_stats() { return gate_->stats(); }

 private:
  Status usable() const;

  Reactor& reactor_;
  const TcpOptions options_;
  UniqueFd listener_;  // until attach()
  bool attached_ = false;
  bool closed_ = false;
  std::unique_ptr<ObserverPost> observer_;  // outlives the halves; until join(), as they
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<Dialer> dialer_;
};

}  // namespace baton::transport::tcp
