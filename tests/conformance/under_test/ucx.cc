#include <cstdlib>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

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
    // Over UCX's TCP a writer that ends in mid-put may take the receiver's process along: one more
    // reason why Baton doesn't offer it.
    return {.guards_each_write = false,
            .survives_ends_in_mid_write = rdma_,
            .crosses_processes = rdma_};
  }
  LoopDriver& driver() override { return driver_; }

  StatusOr<std::unique_ptr<transport::Transport>> make_transport(
      const transport::PeerId& self) override {
    transport::UcxOptions options;
    options.insecure = !rdma_;
    if (!devices_.empty()) {
      options.rails = {devices_[next_device_++ % devices_.size()]};
    }
    return transport::UcxTransport::create(driver_.reactor(), self, options);
  }

  std::string dead_ticket(const transport::PeerId& receiver,
                          const transport::PeerId& sender) override {
    return line_->dead_ticket(receiver, sender);
  }

 private:
  /// BATON_TEST_UCX_DEVICES="rxe0:1 rxe1:1": nodes get them in turn, so that bytes between two
  /// nodes leave the device; BATON_TEST_UCX_FIRST says with which to begin.
  static std::vector<std::string> devices() {
    const char* const names = std::getenv("BATON_TEST_UCX_DEVICES");
    std::istringstream words(names == nullptr ? "" : names);
    return {std::istream_iterator<std::string>(words), {}};
  }
  static std::size_t first_device() {
    const char* const first = std::getenv("BATON_TEST_UCX_FIRST");
    return first == nullptr ? 0 : std::strtoul(first, nullptr, 10);
  }

  const std::vector<std::string> devices_ = devices();
  std::size_t next_device_ = first_device();
  const bool rdma_ = transport::ucx::any_active_port(transport::ucx::list_rdma_devices());
  EventLoopDriver driver_;
  std::unique_ptr<TransportUnderTest> line_ = make_tcp_under_test();
};

}  // namespace

std::unique_ptr<TransportUnderTest> make_ucx_under_test() {
  return std::make_unique<UcxUnderTest>();
}

}  // namespace baton::conformance
