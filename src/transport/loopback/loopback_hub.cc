#include "src/transport/loopback/loopback_hub.h"

#include "src/transport/loopback/loopback_transport.h"

namespace baton::transport {

LoopbackTransport* LoopbackHub::find(const PeerId& peer) const {
  const auto found = transports_.find(peer);
  return found == transports_.end() ? nullptr : found->second;
}

void LoopbackHub::break_connection(const PeerId& writer, const PeerId& receiver,
                                   const Status& why) {
  using Tell = LoopbackTransport::Tell;
  if (LoopbackTransport* transport = find(writer)) {
    transport->lose_receiver(receiver, why, Tell::kYes);
  }
  if (LoopbackTransport* transport = find(receiver)) {
    transport->lose_writer(writer, why, Tell::kYes);
  }
}

void LoopbackHub::kill(const PeerId& peer) {
  if (LoopbackTransport* transport = find(peer)) {
    leave(peer);
    transport->die();
  }
}

}  // namespace baton::transport
