// Between the transports and the two halves of a process that is sender and receiver.
#pragma once

#include "src/transport/transport.h"

namespace baton {

/// A transport tells one observer: what concerns the pages goes to the receiver, what concerns the
/// connections of this side to the sender.
class RoleSplit final : public transport::TransportObserver {
 public:
  RoleSplit(transport::TransportObserver& receiver, transport::TransportObserver& sender)
      : receiver_(receiver), sender_(sender) {}

  void on_writer_connected(const transport::PeerId& peer) override {
    receiver_.on_writer_connected(peer);
  }
  void on_writer_gone(const transport::PeerId& peer, const Status& why) override {
    receiver_.on_writer_gone(peer, why);
  }
  void on_receiver_gone(const transport::PeerId& peer, const Status& why) override {
    sender_.on_receiver_gone(peer, why);
  }
  void on_writer_says(const transport::PeerId& peer, std::string_view message) override {
    receiver_.on_writer_says(peer, message);
  }
  void on_receiver_says(const transport::PeerId& peer, std::string_view message) override {
    sender_.on_receiver_says(peer, message);
  }

 private:
  transport::TransportObserver& receiver_;
  transport::TransportObserver& sender_;
};

}  // namespace baton
