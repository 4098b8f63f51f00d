// The sending half: connections to receivers, and the batches for them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "src/memory/registered_buffer.h"
#include "src/transport/observer_post.h"
#include "src/transport/tcp/outbound_connection.h"
#include "src/transport/tcp/tcp_options.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// Lives on the loop. Everything that it references outlives it.
class TcpSender {
 public:
  TcpSender(Reactor& reactor, const PeerId& self, const TcpOptions& options,
            ObserverPost& observer);

  void attach(const RegisteredBuffer& buffer) { buffer_ = &buffer; }

  void connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline, Done done);
  void write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done);
  void disconnect(const PeerId& receiver);
  void close();

 private:
  StatusOr<Ticket> check_ticket(const PeerId& receiver, std::string_view ticket) const;
  StatusOr<std::vector<UniqueFd>> open_sockets(const Ticket& ticket) const;
  Status check(const std::vector<WriteOp>& ops) const;
  void on_connection_ended(const PeerId& receiver, const Status& why, bool was_open);

  Reactor& reactor_;
  const PeerId self_;
  const TcpOptions& options_;
  ObserverPost& observer_;
  const RegisteredBuffer* buffer_ = nullptr;
  std::uint64_t last_connection_ = 0;
  std::map<PeerId, std::unique_ptr<OutboundConnection>> receivers_;
};

}  // namespace baton::transport::tcp
