#include "src/transport/loopback/loopback_hub.h"
#include "src/transport/loopback/loopback_transport.h"
#include "tests/conformance/transport_under_test.h"

namespace baton::conformance {
namespace {

class LoopbackUnderTest final : public TransportUnderTest {
 public:
  Capabilities capabilities() const override { return {}; }
  LoopDriver& driver() override { return driver_; }

  StatusOr<std::unique_ptr<transport::Transport>> make_transport(
      const transport::PeerId& self) override {
    return std::make_unique<transport::LoopbackTransport>(hub_, self);
  }

  std::string dead_ticket(const transport::PeerId& /*receiver*/,
                          const transport::PeerId& /*sender*/) override {
    return "loopback-1";
  }

  std::uint64_t rejected_writes(const transport::Transport& transport) override {
    return dynamic_cast<const transport::LoopbackTransport&>(transport).rejected_writes();
  }
  std::uint64_t rejected_reads(const transport::Transport& transport) override {
    return dynamic_cast<const transport::LoopbackTransport&>(transport).rejected_reads();
  }

 private:
  static transport::LoopbackOptions options() {
    return {.piece_bytes = 4096,
            .piece_delay = std::chrono::microseconds(10),
            .connect_delay = std::chrono::milliseconds(1),
            .fence_delay = std::chrono::milliseconds(1)};
  }

  VirtualDriver driver_;
  transport::LoopbackHub hub_{driver_.scheduler(), options()};
};

}  // namespace

std::unique_ptr<TransportUnderTest> make_loopback_under_test() {
  return std::make_unique<LoopbackUnderTest>();
}

}  // namespace baton::conformance
