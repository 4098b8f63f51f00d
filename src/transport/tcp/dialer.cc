#include "src/transport/tcp/dialer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/transport/post_done.h"

namespace baton::transport::tcp {

Dialer::Dialer(Reactor& reactor, const PeerId& self, const TcpOptions& options,
               ObserverPost& observer, OutboundMaker make_outbound)
    : reactor_(reactor),
      self_(self),
      options_(options),
      observer_(observer),
      make_outbound_(std::move(make_outbound)) {}

StatusOr<Ticket> Dialer::check_ticket(const PeerId& receiver, std::string_view ticket) const {
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

StatusOr<std::vector<UniqueFd>> Dialer::open_sockets(const Ticket& ticket) const {
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

void Dialer::connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
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
  receivers_[receiver] =
      make_outbound_(Call{.sockets = *std::move(sockets),
                          .hello = hello,
                          .secret = parsed->secret,
                          .deadline = deadline,
                          .connected = std::move(done),
                          .ended = [this, receiver](const Status& why, bool was_open) {
                            on_connection_ended(receiver, why, was_open);
                          }});
}

void Dialer::on_connection_ended(const PeerId& receiver, const Status& why, bool was_open) {
  receivers_.erase(receiver);
  if (was_open) {
    observer_.receiver_gone(receiver, why);
  }
}

template <typename Op>
Status Dialer::check(const std::vector<Op>& ops) const {
  for (const Op& op : ops) {
    if (buffer_ == nullptr || !buffer_->contains(op.local)) {
      return absl::InvalidArgumentError(
          fmt::format("a local range of {} bytes for page {} lies outside the attached buffer",
                      op.local.size(), op.page));
    }
  }
  return absl::OkStatus();
}

template <typename Op>
Outbound* Dialer::begin_batch(const PeerId& receiver, std::vector<Op>& ops, Done& done) {
  std::erase_if(ops, [](const Op& op) { return op.local.empty(); });
  const auto found = receivers_.find(receiver);
  if (found == receivers_.end() || !found->second->is_open()) {
    post_done(reactor_, std::move(done),
              absl::UnavailableError(fmt::format("not connected to peer {}", receiver.brief())));
    return nullptr;
  }
  return found->second.get();
}

void Dialer::write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done) {
  if (Outbound* connection = begin_batch(receiver, ops, done); connection != nullptr) {
    connection->write_batch(ops, check(ops), std::move(done));
  }
}

void Dialer::read_batch(const PeerId& receiver, std::vector<ReadOp> ops, Done done) {
  if (Outbound* connection = begin_batch(receiver, ops, done); connection != nullptr) {
    connection->read_batch(ops, check(ops), std::move(done));
  }
}

void Dialer::disconnect(const PeerId& receiver) {
  const auto found = receivers_.extract(receiver);
  if (!found.empty()) {
    found.mapped()->close(
        absl::CancelledError(fmt::format("disconnected from peer {}", receiver.brief())));
  }
}

void Dialer::close() {
  for (const auto& [receiver, connection] : std::exchange(receivers_, {})) {
    connection->close(absl::CancelledError(std::string("the transport was closed")));
  }
}

}  // namespace baton::transport::tcp
