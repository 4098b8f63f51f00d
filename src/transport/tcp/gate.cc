#include "src/transport/tcp/gate.h"

#include <fmt/format.h>

#include <utility>

namespace baton::transport::tcp {

Gate::Gate(Reactor& reactor, const PeerId& self, const TcpOptions& options, Address address,
           ObserverPost& observer, RoomCheck has_room, InboundMaker make_inbound)
    : reactor_(reactor),
      self_(self),
      options_(options),
      address_(std::move(address)),
      observer_(observer),
      has_room_(std::move(has_room)),
      make_inbound_(std::move(make_inbound)) {}

void Gate::start(UniqueFd listener) {
  acceptor_ = std::make_unique<Acceptor>(reactor_, options_, std::move(listener), stats_,
                                         static_cast<Doorkeeper&>(*this));
}

StatusOr<std::string> Gate::expect_peer(const PeerId& peer) {
  if (acceptor_ == nullptr) {
    return absl::FailedPreconditionError(std::string("this end of the transport does not listen"));
  }
  if (fences_.contains(peer)) {
    return absl::FailedPreconditionError(
        fmt::format("peer {} is being revoked; wait for its fence", peer.brief()));
  }
  Writer& writer = writers_[peer];
  writer.secret = Secret::random();
  return encode(Ticket{.streams = options_.streams,
                       .secret = writer.secret,
                       .receiver = self_,
                       .address = address_});
}

const Secret& Gate::secret_for(const Hello& hello) const {
  const auto found = writers_.find(hello.sender);
  const bool fits_ticket = hello.receiver == self_ && hello.streams <= options_.streams;
  return found != writers_.end() && fits_ticket ? found->second.secret : decoy_;
}

bool Gate::fits(const Hello& hello) const {
  const auto found = writers_.find(hello.sender);
  if (found == writers_.end()) {
    return false;
  }
  const Writer& writer = found->second;
  const bool joins = hello.connection == writer.connection &&
                     hello.streams == writer.streams.size() &&
                     writer.streams[hello.stream] == nullptr;
  return (hello.connection > writer.connection || joins) && has_room_(hello.sender);
}

void Gate::take_in(UniqueFd socket, const Hello& hello) {
  const PeerId peer = hello.sender;
  Writer& writer = writers_.at(peer);
  const bool was_connected = !writer.streams.empty();
  if (hello.connection > writer.connection) {
    // A former connection is closed before its successor may write.
    writer.streams.clear();
    writer.streams.resize(hello.streams);
    writer.connection = hello.connection;
  }
  writer.streams[hello.stream] =
      make_inbound_(std::move(socket), hello, writer.secret,
                    [this, peer](const Status& why) { on_stream_ended(peer, why); });
  if (!was_connected) {
    observer_.writer_connected(peer);
  }
}

void Gate::on_stream_ended(const PeerId& peer, const Status& why) {
  writers_.at(peer).streams.clear();  // One stream's loss is the connection's.
  observer_.writer_gone(peer, why);
}

void Gate::revoke(const PeerId& peer, Task fenced) {
  // The proof: what was made of the streams is destroyed here.
  writers_.erase(peer);
  fences_[peer].push_back(std::move(fenced));
  reactor_.post(lifetime_.guard([this, peer] {
    const auto fences = fences_.extract(peer);
    if (!fences.empty()) {
      for (Task& proven : fences.mapped()) {
        reactor_.post(std::move(proven));
      }
    }
  }));
}

void Gate::close() {
  acceptor_.reset();
  writers_.clear();
  for (auto& [peer, fences] : std::exchange(fences_, {})) {
    for (Task& fenced : fences) {
      reactor_.post(std::move(fenced));
    }
  }
}

}  // namespace baton::transport::tcp
