#include "src/transport/shm/shm_sender.h"

#include <fmt/format.h>

#include <cstring>
#include <string>
#include <utility>

#include "src/base/copy_kernel.h"
#include "src/base/digest.h"
#include "src/transport/post_done.h"

namespace baton::transport::shm {
namespace {

CopyPiece piece_of(const WriteOp& op, std::byte* remote) {
  return {.to = remote, .from = op.local.data(), .bytes = op.local.size(), .digest = op.digest};
}

CopyPiece piece_of(const ReadOp& op, const std::byte* remote) {
  return {.to = op.local.data(), .from = remote, .bytes = op.local.size()};
}

}  // namespace

ShmSender::ShmSender(Reactor& reactor, const PeerId& self, const RegisteredBuffer& buffer,
                     std::size_t max_message_bytes, const CopyHelpers& copy_helpers,
                     ObserverPost& observer)
    : reactor_(reactor),
      self_(self),
      buffer_(buffer),
      max_message_bytes_(max_message_bytes),
      observer_(observer),
      copies_(reactor, copy_helpers) {}

void ShmSender::connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
                        Done done) {
  auto link = open_link(receiver, ticket, deadline);
  if (!link.ok()) {
    post_done(reactor_, std::move(done), link.status());
    return;
  }
  connections_.emplace(receiver,
                       Connection{.link = *std::move(link), .connecting = std::move(done)});
}

StatusOr<std::unique_ptr<ReceiverLink>> ShmSender::open_link(const PeerId& receiver,
                                                             std::string_view ticket,
                                                             TimePoint deadline) {
  if (connections_.contains(receiver)) {
    return absl::FailedPreconditionError(fmt::format(
        "shm: already connected or connecting to {}; disconnect first", receiver.brief()));
  }
  const auto decoded = decode_ticket(ticket);
  if (!decoded.ok()) {
    return decoded.status();
  }
  if (decoded->receiver != receiver) {
    return absl::PermissionDeniedError(fmt::format("shm: the ticket is for receiver {}, not for {}",
                                                   decoded->receiver.brief(), receiver.brief()));
  }
  if (deadline <= reactor_.now()) {
    return absl::DeadlineExceededError("shm: the deadline passed before connecting began");
  }
  return ReceiverLink::open_on_loop(reactor_, self_, *decoded, deadline, max_message_bytes_, *this);
}

void ShmSender::write_batch(const PeerId& receiver, const std::vector<WriteOp>& ops, Done done) {
  submit(receiver, ops, std::move(done));
}

/// With ordinary stores: the receiver is about to read what it was told of.
Status ShmSender::write_at_once(const PeerId& receiver, const std::vector<WriteOp>& ops) const {
  const std::shared_ptr<RemoteMapping> mapping = mapping_of(receiver);
  if (mapping == nullptr) {
    return absl::UnavailableError(fmt::format("shm: not connected to {}", receiver.brief()));
  }
  const auto pieces = plan(*mapping, ops);
  if (!pieces.ok()) {
    return pieces.status();
  }
  std::size_t bytes = 0;
  for (const CopyPiece& piece : *pieces) {
    bytes += piece.bytes;
  }
  if (bytes > Transport::kMaxBytesAtOnce) {
    return absl::InvalidArgumentError(fmt::format(
        "shm: {} bytes are to be written at once, {} may be", bytes, Transport::kMaxBytesAtOnce));
  }
  for (const CopyPiece& piece : *pieces) {
    if (piece.digest != nullptr) {
      *piece.digest = digest_of({piece.from, piece.bytes});
    }
    std::memcpy(piece.to, piece.from, piece.bytes);
  }
  publish_stores();
  return absl::OkStatus();
}

void ShmSender::read_batch(const PeerId& receiver, const std::vector<ReadOp>& ops, Done done) {
  submit(receiver, ops, std::move(done));
}

template <typename Op>
void ShmSender::submit(const PeerId& receiver, const std::vector<Op>& ops, Done done) {
  const std::shared_ptr<RemoteMapping> mapping = mapping_of(receiver);
  if (mapping == nullptr) {
    post_done(reactor_, std::move(done),
              absl::UnavailableError(fmt::format("shm: not connected to {}", receiver.brief())));
    return;
  }
  auto pieces = plan(*mapping, ops);
  Status outcome = pieces.status();
  copies_.submit(receiver, pieces.ok() ? *std::move(pieces) : std::vector<CopyPiece>{},
                 std::move(outcome), std::move(done));
}

void ShmSender::disconnect(const PeerId& receiver) {
  end(receiver, absl::CancelledError("shm: disconnected by the sender"));
}

void ShmSender::close() {
  while (!connections_.empty()) {
    const PeerId receiver = connections_.begin()->first;
    end(receiver, absl::CancelledError("shm: the transport was closed"));
  }
}

void ShmSender::on_receiver_connected(ReceiverLink& link) {
  Connection& connection = connections_.at(link.peer());
  post_done(reactor_, std::exchange(connection.connecting, nullptr), absl::OkStatus());
}

Status ShmSender::tell(const PeerId& receiver, std::string_view message) {
  const auto found = connections_.find(receiver);
  if (found == connections_.end()) {
    return absl::UnavailableError(
        fmt::format("shm: receiver {} is not connected", receiver.brief()));
  }
  return found->second.link->tell_on_loop(message);
}

void ShmSender::on_receiver_says(ReceiverLink& link, std::string message) {
  observer_.receiver_says(link.peer(), std::move(message));
}

void ShmSender::on_receiver_lost(ReceiverLink& link, Status why) {
  const PeerId receiver = link.peer();
  if (end(receiver, why)) {
    observer_.receiver_gone(receiver, std::move(why));
  }
}

/// True if it was connected: then someone besides the connect() in progress wants to know.
bool ShmSender::end(const PeerId& receiver, const Status& why) {
  auto node = connections_.extract(receiver);
  if (node.empty()) {
    return false;
  }
  Connection& connection = node.mapped();
  const bool was_connected = connection.connecting == nullptr;
  copies_.drop(receiver, why);  // Before the mapping that they write into goes.
  connection.link->release_on_loop();
  if (!was_connected) {
    post_done(reactor_, std::move(connection.connecting), why);
  }
  return was_connected;
}

std::shared_ptr<const MappedPages> ShmSender::map_pages(const PeerId& receiver) const {
  return mapping_of(receiver);
}

std::shared_ptr<RemoteMapping> ShmSender::mapping_of(const PeerId& receiver) const {
  const auto found = connections_.find(receiver);
  const bool connected =
      found != connections_.end() && found->second.link->state() == ReceiverState::kConnected;
  return connected ? found->second.link->mapping() : nullptr;
}

template <typename Op>
StatusOr<std::vector<CopyPiece>> ShmSender::plan(const RemoteMapping& mapping,
                                                 const std::vector<Op>& ops) const {
  std::vector<CopyPiece> pieces;
  pieces.reserve(ops.size());
  for (const Op& op : ops) {
    if (!buffer_.contains(op.local) && !mapping.contains(op.local)) {
      return absl::InvalidArgumentError(fmt::format(
          "shm: a local range of {} bytes for page {} is not inside the attached buffer",
          op.local.size(), op.page));
    }
    if (!mapping.holds(op.page, op.offset_bytes, op.local.size())) {
      return absl::InvalidArgumentError(fmt::format(
          "shm: {} bytes at offset {} of page {} are outside the receiver's {} pages of {} bytes",
          op.local.size(), op.offset_bytes, op.page, mapping.geometry().page_count,
          mapping.geometry().page_bytes));
    }
    pieces.push_back(piece_of(op, mapping.at(op.page, op.offset_bytes)));
  }
  return pieces;
}

}  // namespace baton::transport::shm
