// The sending half: connections to receivers, and the batches of writes and reads for them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "src/memory/registered_buffer.h"
#include "src/transport/observer_post.h"
#include "src/transport/tcp/opening.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// The sender's end of a connection.
class Outbound {
 public:
  /// It ended by itself. Called last, from the loop, never from the maker: may destroy the
  /// Outbound.
  using Ended = absl::AnyInvocable<void(const Status& why, bool was_open)>;

  virtual ~Outbound() = default;

  virtual bool is_open() const = 0;
  /// When open only. A batch whose `verdict` is not OK moves nothing, and keeps its place.
  virtual void write_batch(const std::vector<WriteOp>& ops, Status verdict, Done done) = 0;
  virtual void read_batch(const std::vector<ReadOp>& ops, Status verdict, Done done) = 0;
  /// What is pending gets `why`, once no local memory is touched; Ended is not called. Idempotent.
  virtual void close(const Status& why) = 0;
};

/// What a connection is made from.
struct Call {
  std::vector<UniqueFd> sockets;  ///< of start_connect(), at least one
  Hello hello;                    ///< of stream 0
  Secret secret;
  TimePoint deadline;
  Done connected;  ///< to be called in a turn of its own
  Outbound::Ended ended;
};
using OutboundMaker = absl::AnyInvocable<std::unique_ptr<Outbound>(Call call)>;

/// Lives on the loop. Everything that it references outlives it.
class Dialer {
 public:
  Dialer(Reactor& reactor, const PeerId& self, const TcpOptions& options, ObserverPost& observer,
         OutboundMaker make_outbound);

  void attach(const RegisteredBuffer& buffer) { buffer_ = &buffer; }

  void connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline, Done done);
  void write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done);
  void read_batch(const PeerId& receiver, std::vector<ReadOp> ops, Done done);
  void disconnect(const PeerId& receiver);
  void close();

 private:
  /// What write_batch() and read_batch() begin with. Null if `done` has been answered.
  template <typename Op>
  Outbound* begin_batch(const PeerId& receiver, std::vector<Op>& ops, Done& done);
  /// kInvalidArgument unless all local ranges lie inside the attached buffer.
  template <typename Op>
  Status check(const std::vector<Op>& ops) const;
  StatusOr<Ticket> check_ticket(const PeerId& receiver, std::string_view ticket) const;
  StatusOr<std::vector<UniqueFd>> open_sockets(const Ticket& ticket) const;
  void on_connection_ended(const PeerId& receiver, const Status& why, bool was_open);

  Reactor& reactor_;
  const PeerId self_;
  const TcpOptions& options_;
  ObserverPost& observer_;
  OutboundMaker make_outbound_;
  const RegisteredBuffer* buffer_ = nullptr;
  std::uint64_t last_connection_ = 0;
  std::map<PeerId, std::unique_ptr<Outbound>> receivers_;
};

}  // namespace baton::transport::tcp
