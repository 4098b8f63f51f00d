#include "src/transport/tcp/tcp_transport.h"

#include <fmt/format.h>

#include <utility>

#include "src/transport/post_done.h"

namespace baton::transport {
namespace {

// What both sides of this version can do.
constexpr std::string_view kOffer = "2";

/// Every message has to fit.
constexpr std::size_t kMinSliceBytes = 128;

Status check(const TcpOptions& options) {
  if (options.streams == 0 || options.streams > tcp::kMaxStreams) {
    return absl::InvalidArgumentError(
        fmt::format("{} tcp streams: choose 1 to {}", options.streams, tcp::kMaxStreams));
  }
  if (options.heartbeat_interval <= Duration::zero() ||
      options.silence_limit < 2 * options.heartbeat_interval) {
    return absl::InvalidArgumentError(
        fmt::format("a tcp heartbeat every {} ns and a silence limit of {} ns: the limit has to be "
                    "two intervals or more",
                    options.heartbeat_interval.count(), options.silence_limit.count()));
  }
  if (options.slice_bytes < kMinSliceBytes || options.run_bytes == 0) {
    return absl::InvalidArgumentError(fmt::format(
        "tcp slices of {} bytes and runs of {}: a slice has {} or more, a run 1 or more",
        options.slice_bytes, options.run_bytes, kMinSliceBytes));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<TcpTransport>> TcpTransport::create(Reactor& reactor, const PeerId& self,
                                                             TcpOptions options) {
  if (Status status = check(options); !status.ok()) {
    return status;
  }
  if (!options.listen) {
    return std::unique_ptr<TcpTransport>(
        new TcpTransport(reactor, self, std::move(options), UniqueFd(), tcp::Address()));
  }
  const auto wanted = tcp::resolve(options.host, options.port);
  if (!wanted.ok()) {
    return wanted.status();
  }
  if (wanted->is_wildcard() && options.advertised_host.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("host {} is every address of this machine: set advertised_host to the one "
                    "that senders can reach",
                    options.host));
  }
  auto listener = tcp::listen_on(*wanted);
  if (!listener.ok()) {
    return listener.status();
  }
  auto address = tcp::bound_address(*listener);
  if (address.ok() && !options.advertised_host.empty()) {
    address = tcp::resolve(options.advertised_host, address->port);
  }
  if (!address.ok()) {
    return address.status();
  }
  return std::unique_ptr<TcpTransport>(new TcpTransport(reactor, self, std::move(options),
                                                        *std::move(listener), *std::move(address)));
}

TcpTransport::TcpTransport(Reactor& reactor, const PeerId& self, TcpOptions options,
                           UniqueFd listener, tcp::Address address)
    : reactor_(reactor),
      options_(std::move(options)),
      listener_(std::move(listener)),
      observer_(std::make_unique<ObserverPost>(reactor)),
      receiver_(std::make_unique<tcp::TcpReceiver>(reactor, self, options_, std::move(address),
                                                   *observer_)),
      sender_(std::make_unique<tcp::TcpSender>(reactor, self, options_, *observer_)) {}

Status TcpTransport::usable() const {
  if (closed_) {
    return absl::FailedPreconditionError(std::string("the tcp transport is closed"));
  }
  if (!attached_) {
    return absl::FailedPreconditionError(std::string("attach a buffer first"));
  }
  return absl::OkStatus();
}

Status TcpTransport::attach(RegisteredBuffer& buffer) {
  if (closed_ || attached_) {
    return closed_ ? usable()
                   : absl::FailedPreconditionError(std::string("a buffer is attached already"));
  }
  attached_ = true;
  sender_->attach(buffer);
  if (options_.listen) {
    receiver_->start(std::move(listener_), buffer);
  }
  return absl::OkStatus();
}

std::string TcpTransport::offer() const {
  return std::string(kOffer);
}

bool TcpTransport::can_serve(std::string_view offer) const {
  return offer == kOffer;
}

StatusOr<std::string> TcpTransport::expect_peer(const PeerId& peer) {
  if (Status status = usable(); !status.ok()) {
    return status;
  }
  return receiver_->expect_peer(peer);
}

void TcpTransport::revoke(const PeerId& peer, Task fenced) {
  if (usable().ok()) {
    receiver_->revoke(peer, std::move(fenced));
  } else {
    reactor_.post(std::move(fenced));
  }
}

void TcpTransport::connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
                           Done done) {
  if (Status status = usable(); status.ok()) {
    sender_->connect(receiver, ticket, deadline, std::move(done));
  } else {
    post_done(reactor_, std::move(done), std::move(status));
  }
}

void TcpTransport::write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done) {
  if (Status status = usable(); status.ok()) {
    sender_->write_batch(receiver, std::move(ops), std::move(done));
  } else {
    post_done(reactor_, std::move(done), std::move(status));
  }
}

void TcpTransport::disconnect(const PeerId& receiver) {
  if (usable().ok()) {
    sender_->disconnect(receiver);
  }
}

void TcpTransport::close() {
  if (std::exchange(closed_, true)) {
    return;
  }
  listener_.reset();
  sender_->close();
  receiver_->close();
  observer_->set(nullptr);
}

void TcpTransport::join() {
  close();
  sender_.reset();
  receiver_.reset();
  observer_.reset();
}

}  // namespace baton::transport
