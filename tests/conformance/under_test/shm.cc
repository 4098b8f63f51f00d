#include "src/transport/shm/shm_messages.h"
#include "src/transport/shm/shm_transport.h"
#include "tests/conformance/transport_under_test.h"

namespace baton::conformance {
namespace {

class ShmUnderTest final : public TransportUnderTest {
 public:
  Capabilities capabilities() const override {
    return {.guards_each_write = false,
            .fence_waits_for_stopped_writer = true,
            .crosses_processes = true};
  }
  LoopDriver& driver() override { return driver_; }

  StatusOr<std::unique_ptr<transport::Transport>> make_transport(
      const transport::PeerId& self) override {
    return std::make_unique<transport::ShmTransport>(driver_.reactor(), self);
  }

  std::string dead_ticket(const transport::PeerId& receiver,
                          const transport::PeerId& /*sender*/) override {
    return transport::shm::encode_ticket({.receiver = receiver,
                                          .page_bytes = 4096,
                                          .page_count = 1,
                                          .socket_id = Epoch::random().bytes,
                                          .secret = transport::Secret::random()});
  }

 private:
  EventLoopDriver driver_;
};

}  // namespace

std::unique_ptr<TransportUnderTest> make_shm_under_test() {
  return std::make_unique<ShmUnderTest>();
}

}  // namespace baton::conformance
