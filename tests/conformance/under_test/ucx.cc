#include "src/transport/ucx/rdma_devices.h"
#include "src/transport/ucx/ucx_transport.h"
#include "tests/conformance/transport_under_test.h"
#include "tests/conformance/under_test/tcp.h"

namespace baton::conformance {
namespace {

/// Over RDMA where this host has a device (`make rdma-test` makes one); elsewhere over UCX's TCP.
class UcxUnderTest final : public TransportUnderTest {
 public:
  Capabilities capabilities() const override {
    return {.guards_each_write = false,
            // A sender that dies in mid-put over UCX's TCP may take the receiver along: the very
            // reason why Baton doesn't offer it.
            .crosses_processes = rdma_};
  }
  LoopDriver& driver() override { return driver_; }

  StatusOr<std::unique_ptr<transport::Transport>> make_transport(
      const transport::PeerId& self) override {
    transport::UcxOptions options;
    options.insecure = !rdma_;
    return transport::UcxTransport::create(driver_.reactor(), self, options);
  }

  std::string dead_ticket(const transport::PeerId& receiver,
                          const transport::PeerId& sender) override {
    return line_->dead_ticket(receiver, sender);
  }

 private:
  const bool rdma_ = transport::ucx::any_active_port(transport::ucx::list_rdma_devices());
  EventLoopDriver driver_;
  std::unique_ptr<TransportUnderTest> line_ = make_tcp_under_test();
};

}  // namespace

std::unique_ptr<TransportUnderTest> make_ucx_under_test() {
  return std::make_unique<UcxUnderTest>();
}

}  // namespace baton::conformance
