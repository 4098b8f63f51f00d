// Everything that the shm data plane decodes. What is accepted is exactly what is encoded again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/transport/shm/host_identity.h"
#include "src/transport/shm/shm_messages.h"
#include "tests/fuzz/require.h"

namespace baton::transport::shm {
namespace {

using fuzz::require;

void check_ticket(std::string_view bytes) {
  const auto ticket = decode_ticket(bytes);
  if (ticket.ok()) {
    require(encode_ticket(*ticket) == bytes, "a ticket comes back");
    require(ticket->page_bytes > 0 && ticket->page_count > 0, "a ticket's pages");
  }
}

void check_packet(std::string_view bytes) {
  const auto packet = decode_packet(bytes);
  if (packet.ok()) {
    require(encode_packet(*packet) == bytes, "a packet comes back");
    require(bytes.size() <= kMaxPacketBytes, "a packet fits the buffer that receives it");
  }
}

void check_offer(std::string_view bytes) {
  const auto offer = decode_offer(bytes);
  if (offer) {
    require(encode_offer(*offer) == bytes, "an offer comes back");
    require(!HostIdentity{}.can_serve(*offer), "who does not know where it is serves nobody");
  }
}

}  // namespace
}  // namespace baton::transport::shm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baton::transport::shm;  // NOLINT(google-build-using-namespace)
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_ticket(bytes);
  check_packet(bytes);
  check_offer(bytes);
  return 0;
}
