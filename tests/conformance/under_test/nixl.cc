// Compiled where Baton is built with NIXL.
#include <cstdlib>

#include "src/transport/nixl/nixl.h"
#include "src/transport/ucx/rdma_devices.h"
#include "tests/conformance/transport_under_test.h"
#include "tests/conformance/under_test/tcp.h"

namespace baton::conformance {
namespace {

/// Over RDMA where this host has a device, elsewhere over UCX's TCP on the loopback device.
class NixlUnderTest final : public TransportUnderTest {
 public:
  NixlUnderTest() {
    if (!rdma_) {
      setenv("UCX_NET_DEVICES", "lo", /*overwrite=*/0);
    }
  }

  Capabilities capabilities() const override {
    // Over UCX's TCP a process that answers a read may go down with a killed reader ("Endpoint
    // timeout"). A killed writer took nobody along in 80 tries.
    return {
        .guards_each_write = false, .survives_killed_readers = rdma_, .crosses_processes = true};
  }
  LoopDriver& driver() override { return driver_; }

  StatusOr<std::unique_ptr<transport::Transport>> make_transport(
      const transport::PeerId& self) override {
    transport::NixlOptions options;
    options.insecure = !rdma_;
    return transport::make_nixl_transport(driver_.reactor(), self, std::move(options));
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

std::unique_ptr<TransportUnderTest> make_nixl_under_test() {
  return std::make_unique<NixlUnderTest>();
}

}  // namespace baton::conformance
