#include "src/transport/shm/shm_transport.h"

#include <utility>

#include "src/transport/post_done.h"

namespace baton::transport {

ShmTransport::ShmTransport(Reactor& reactor, const PeerId& self, const ShmOptions& options)
    : reactor_(reactor),
      self_(self),
      options_(options),
      observer_(std::make_unique<ObserverPost>(reactor)) {}

ShmTransport::~ShmTransport() = default;

Status ShmTransport::attach(RegisteredBuffer& buffer) {
  if (closed_ || receiver_ != nullptr) {
    return absl::FailedPreconditionError("shm: a buffer is attached already, or was");
  }
  receiver_ = std::make_unique<shm::ShmReceiver>(reactor_, self_, buffer, options_.listener,
                                                 options_.max_message_bytes, *observer_);
  sender_ = std::make_unique<shm::ShmSender>(reactor_, self_, buffer, options_.max_message_bytes,
                                             options_.copy_helpers, *observer_);
  return absl::OkStatus();
}

void ShmTransport::set_observer(TransportObserver* observer) {
  observer_->set(observer);
}

std::string ShmTransport::offer() const {
  return shm::encode_offer(host_);
}

bool ShmTransport::can_serve(std::string_view offer) const {
  const auto sender = shm::decode_offer(offer);
  return sender && host_.can_serve(*sender);
}

Status ShmTransport::write_at_once(const PeerId& receiver, const std::vector<WriteOp>& ops) {
  return sender_ == nullptr ? Transport::write_at_once(receiver, ops)
                            : sender_->write_at_once(receiver, ops);
}

std::shared_ptr<const MappedPages> ShmTransport::map_pages(const PeerId& receiver) {
  return sender_ == nullptr ? nullptr : sender_->map_pages(receiver);
}

Status ShmTransport::tell_receiver(const PeerId& receiver, std::string_view message) {
  Status status = usable();
  return status.ok() ? sender_->tell(receiver, message) : status;
}

Status ShmTransport::tell_writer(const PeerId& writer, std::string_view message) {
  Status status = usable();
  return status.ok() ? receiver_->tell(writer, message) : status;
}

StatusOr<std::string> ShmTransport::expect_peer(const PeerId& peer) {
  if (Status status = usable(); !status.ok()) {
    return status;
  }
  return receiver_->expect_peer(peer);
}

void ShmTransport::revoke(const PeerId& peer, Task fenced) {
  if (usable().ok()) {
    receiver_->revoke(peer, std::move(fenced));
  } else {
    reactor_.post(std::move(fenced));
  }
}

void ShmTransport::connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
                           Done done) {
  if (Status status = usable(); status.ok()) {
    sender_->connect(receiver, ticket, deadline, std::move(done));
  } else {
    post_done(reactor_, std::move(done), std::move(status));
  }
}

void ShmTransport::write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done) {
  if (Status status = usable(); status.ok()) {
    sender_->write_batch(receiver, ops, std::move(done));
  } else {
    post_done(reactor_, std::move(done), std::move(status));
  }
}

void ShmTransport::read_batch(const PeerId& receiver, std::vector<ReadOp> ops, Done done) {
  if (Status status = usable(); status.ok()) {
    sender_->read_batch(receiver, ops, std::move(done));
  } else {
    post_done(reactor_, std::move(done), std::move(status));
  }
}

void ShmTransport::disconnect(const PeerId& receiver) {
  if (usable().ok()) {
    sender_->disconnect(receiver);
  }
}

void ShmTransport::close() {
  if (std::exchange(closed_, true) || receiver_ == nullptr) {
    return;
  }
  sender_->close();
  receiver_->close();
  observer_->set(nullptr);
}

void ShmTransport::join() {
  sender_.reset();
  receiver_.reset();
  observer_.reset();
}

shm::ShmCounters ShmTransport::counters() const {
  return receiver_ != nullptr ? receiver_->counters() : shm::ShmCounters{};
}

Status ShmTransport::usable() const {
  if (closed_) {
    return absl::FailedPreconditionError("shm: the transport is closed");
  }
  if (receiver_ == nullptr) {
    return absl::FailedPreconditionError("shm: attach a buffer first");
  }
  return absl::OkStatus();
}

}  // namespace baton::transport
