#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <utility>

#include "src/transport/tcp/tcp_transport.h"
#include "tests/conformance/under_test/tcp.h"

namespace baton::conformance {
namespace {

/// Bound, not listening: whoever connects is refused, and nobody else gets the port.
std::pair<UniqueFd, std::uint16_t> take_port() {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof(address);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (bind(socket.get(), raw, bytes) != 0 || getsockname(socket.get(), raw, &bytes) != 0) {
    std::abort();
  }
  return {std::move(socket), ntohs(address.sin_port)};
}

class TcpUnderTest final : public TransportUnderTest {
 public:
  explicit TcpUnderTest(transport::TcpOptions options) : options_(std::move(options)) {}

  Capabilities capabilities() const override { return {.crosses_processes = true}; }
  LoopDriver& driver() override { return driver_; }

  StatusOr<std::unique_ptr<transport::Transport>> make_transport(
      const transport::PeerId& self) override {
    return transport::TcpTransport::create(driver_.reactor(), self, options_);
  }

  std::string dead_ticket(const transport::PeerId& receiver,
                          const transport::PeerId& /*sender*/) override {
    return encode(transport::tcp::Ticket{
        .secret = transport::Secret::random(),
        .receiver = receiver,
        .address = {.ip = std::string("\x7f\0\0\1", 4), .port = dead_.second}});
  }

  std::uint64_t rejected_writes(const transport::Transport& transport) override {
    return dynamic_cast<const transport::TcpTransport&>(transport).stats().rejected_writes;
  }
  std::uint64_t rejected_reads(const transport::Transport& transport) override {
    return dynamic_cast<const transport::TcpTransport&>(transport).stats().rejected_reads;
  }

 private:
  const transport::TcpOptions options_;
  EventLoopDriver driver_;
  std::pair<UniqueFd, std::uint16_t> dead_ = take_port();
};

}  // namespace

std::unique_ptr<TransportUnderTest> make_tcp_under_test() {
  return make_tcp_under_test(transport::TcpOptions());
}

std::unique_ptr<TransportUnderTest> make_tcp_under_test(const transport::TcpOptions& options) {
  return std::make_unique<TcpUnderTest>(options);
}

}  // namespace baton::conformance
