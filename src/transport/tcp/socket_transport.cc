#include "src/transport/tcp/socket_transport.h"

#include <fmt/format.h>

#include <utility>

#include "src/transport/post_done.h"

namespace baton::transport::tcp {
namespace {

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

StatusOr<SocketTransport::Listener> SocketTransport::listen(const TcpOptions& options) {
  if (Status status = check(options); !status.ok()) {
    return status;
  }
  if (!options.listen) {
    return Listener();
  }
  const auto wanted = resolve(options.host, options.port);
  if (!wanted.ok()) {
    return wanted.status();
  }
  if (wanted->is_wildcard() && options.advertised_host.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("host {} is every address of this machine: set advertised_host to the one "
                    "that senders can reach",
                    options.host));
  }
  auto listener = listen_on(*wanted);
  if (!listener.ok()) {
    return listener.status();
  }
  auto address = bound_address(*listener);
  if (address.ok() && !options.advertised_host.empty()) {
    address = resolve(options.advertised_host, address->port);
  }
  if (!address.ok()) {
    return address.status();
  }
  return Listener{.socket = *std::move(listener), .address = *std::move(address)};
}

SocketTransport::SocketTransport(Reactor& reactor, const PeerId& self, TcpOptions options,
                                 Listener listener)
    : reactor_(reactor),
      options_(std::move(options)),
      listener_(std::move(listener.socket)),
      observer_(std::make_unique<ObserverPost>(reactor)),
      gate_(std::make_unique<Gate>(
          reactor, self, options_, std::move(listener.address), *observer_,
          [this](const PeerId& peer) { return has_room(peer); },
          [this](UniqueFd socket, const Hello& hello, const Secret& secret, Inbound::Ended ended) {
            return make_inbound(std::move(socket), hello, secret, std::move(ended));
          })),
      dialer_(std::make_unique<Dialer>(reactor, self, options_, *observer_, [this](Call call) {
        return make_outbound(std::move(call));
      })) {}

Status SocketTransport::usable() const {
  if (closed_) {
    return absl::FailedPreconditionError(std::string("the transport is closed"));
  }
  if (!attached_) {
    return absl::FailedPreconditionError(std::string("attach a buffer first"));
  }
  return absl::OkStatus();
}

Status SocketTransport::attach(RegisteredBuffer& buffer) {
  if (closed_ || attached_) {
    return closed_ ? usable()
                   : absl::FailedPreconditionError(std::string("a buffer is attached already"));
  }
  if (Status attached = attach_plane(buffer); !attached.ok()) {
    return attached;
  }
  attached_ = true;
  dialer_->attach(buffer);
  if (options_.listen) {
    gate_->start(std::move(listener_));
  }
  return absl::OkStatus();
}

StatusOr<std::string> SocketTransport::expect_peer(const PeerId& peer) {
  if (Status status = usable(); !status.ok()) {
    return status;
  }
  if (Status status = can_expect(); !status.ok()) {
    return status;
  }
  return gate_->expect_peer(peer);
}

void SocketTransport::revoke(const PeerId& peer, Task fenced) {
  if (usable().ok()) {
    gate_->revoke(peer, std::move(fenced));
  } else {
    reactor_.post(std::move(fenced));
  }
}

void SocketTransport::connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
                              Done done) {
  if (Status status = usable(); status.ok()) {
    dialer_->connect(receiver, ticket, deadline, std::move(done));
  } else {
    post_done(reactor_, std::move(done), std::move(status));
  }
}

void SocketTransport::write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done) {
  if (Status status = usable(); status.ok()) {
    dialer_->write_batch(receiver, std::move(ops), std::move(done));
  } else {
    post_done(reactor_, std::move(done), std::move(status));
  }
}

void SocketTransport::read_batch(const PeerId& receiver, std::vector<ReadOp> ops, Done done) {
  if (Status status = usable(); status.ok()) {
    dialer_->read_batch(receiver, std::move(ops), std::move(done));
  } else {
    post_done(reactor_, std::move(done), std::move(status));
  }
}

void SocketTransport::disconnect(const PeerId& receiver) {
  if (usable().ok()) {
    dialer_->disconnect(receiver);
  }
}

void SocketTransport::close() {
  if (std::exchange(closed_, true)) {
    return;
  }
  listener_.reset();
  dialer_->close();
  gate_->close();
  observer_->set(nullptr);
}

void SocketTransport::join() {
  close();
  dialer_.reset();
  gate_.reset();
  observer_.reset();
}

}  // namespace baton::transport::tcp
