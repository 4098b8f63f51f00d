#include "src/transport/tcp/tcp_sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/transport/post_done.h"

namespace baton::transport::tcp {

TcpSender::TcpSender(Reactor& reactor, const PeerId& self, const TcpOptions& options,
                     ObserverPost& observer)
    : reactor_(reactor), self_(self), options_(options), observer_(observer) {}

StatusOr<Ticket> TcpSender::check_ticket(const PeerId& receiver, std::string_view ticket) const {
  if (receivers_.contains(receiver)) {
    return absl::FailedPreconditionError(
        fmt::format("peer {} is connected, or being connected, already", receiver.brief()));
  }
  auto parsed = parse_ticket(ticket);
  if (parsed.ok() && parsed->receiver != receiver) {
    return absl::PermissionDeniedError(fmt::format("a ticket of peer {} does not open peer {}",
                                                   parsed->receiver.brief(), receiver.brief()));
  }
  return parsed;
}

StatusOr<std::vector<UniqueFd>> TcpSender::open_sockets(const Ticket& ticket) const {
  std::vector<UniqueFd> sockets;
  const std::uint16_t streams = std::min(ticket.streams, options_.streams);
  while (sockets.size() < streams) {
    auto socket = start_connect(ticket.address);
    if (!socket.ok()) {
      return socket.status();
    }
    sockets.push_back(*std::move(socket));
  }
  return sockets;
}

void TcpSender::connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
                        Done done) {
  const auto parsed = check_ticket(receiver, ticket);
  if (!parsed.ok()) {
    post_done(reactor_, std::move(done), parsed.status());
    return;
  }
  auto sockets = open_sockets(*parsed);
  if (!sockets.ok()) {
    post_done(reactor_, std::move(done), sockets.status());
    return;
  }
  const Hello hello{.connection = ++last_connection_, .sender = self_, .receiver = receiver};
  receivers_[receiver] = std::make_unique<OutboundConnection>(
      reactor_, options_, *std::move(sockets), hello, parsed->secret, deadline, std::move(done),
      [this, receiver](const Status& why, bool was_open) {
        on_connection_ended(receiver, why, was_open);
      });
}

void TcpSender::on_connection_ended(const PeerId& receiver, const Status& why, bool was_open) {
  receivers_.erase(receiver);
  if (was_open) {
    observer_.receiver_gone(receiver, why);
  }
}

Status TcpSender::check(const std::vector<WriteOp>& ops) const {
  for (const WriteOp& op : ops) {
    if (buffer_ == nullptr || !buffer_->contains(op.local)) {
      return absl::InvalidArgumentError(
          fmt::format("a local range of {} bytes for page {} lies outside the attached buffer",
                      op.local.size(), op.page));
    }
  }
  return absl::OkStatus();
}

void TcpSender::write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done) {
  std::erase_if(ops, [](const WriteOp& op) { return op.local.empty(); });
  const auto found = receivers_.find(receiver);
  if (found == receivers_.end() || !found->second->is_open()) {
    post_done(reactor_, std::move(done),
              absl::UnavailableError(fmt::format("not connected to peer {}", receiver.brief())));
    return;
  }
  Status verdict = check(ops);
  found->second->write_batch(ops, std::move(verdict), std::move(done));
}

void TcpSender::disconnect(const PeerId& receiver) {
  const auto found = receivers_.extract(receiver);
  if (!found.empty()) {
    found.mapped()->close(
        absl::CancelledError(fmt::format("disconnected from peer {}", receiver.brief())));
  }
}

void TcpSender::close() {
  for (const auto& [receiver, connection] : std::exchange(receivers_, {})) {
    connection->close(absl::CancelledError(std::string("the tcp transport was closed")));
  }
}

}  // namespace baton::transport::tcp
