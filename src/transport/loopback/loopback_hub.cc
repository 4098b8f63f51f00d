#include "src/transport/loopback/loopback_hub.h"

#include <utility>
#include <vector>

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
    transport->sever(receiver, why);
  }
  if (LoopbackTransport* transport = find(receiver)) {
    transport->lose_writer(writer, why, Tell::kYes);
  }
}

void LoopbackHub::let_straggle(const PeerId& writer, const PeerId& receiver, const WriteOp& op,
                               std::size_t from, std::size_t bytes) {
  const LoopbackTransport* target = find(receiver);
  if (conditions_ == nullptr || target == nullptr) {
    return;
  }
  const auto delay = conditions_->straggles(writer, receiver);
  if (!delay.has_value()) {
    return;
  }
  const auto piece = op.local.subspan(from, bytes);
  LateWrite late{writer,        {piece.begin(), piece.end()}, op.page,
                 op.generation, op.offset_bytes + from,       target->fences_of(writer)};
  scheduler_.run_after(*delay, [this, receiver, late = std::move(late)] {
    if (LoopbackTransport* there = find(receiver)) {
      there->land_late(late);
    }
  });
}

void LoopbackHub::kill(const PeerId& peer) {
  if (LoopbackTransport* transport = find(peer)) {
    leave(peer);
    transport->die();
  }
}

}  // namespace baton::transport
