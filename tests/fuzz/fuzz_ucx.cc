// What the ucx data plane decodes itself: the welcome, offers, and UCX's own description of lanes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/checked.h"
#include "src/transport/ucx/lanes.h"
#include "src/transport/ucx/offer.h"
#include "src/transport/ucx/welcome.h"
#include "tests/fuzz/require.h"

namespace {

using namespace baton;  // NOLINT(google-build-using-namespace)
using fuzz::require;

void check_welcome(std::string_view bytes) {
  const auto welcome = transport::ucx::parse_welcome(bytes);
  if (!welcome.ok()) {
    return;
  }
  require(transport::ucx::encode(*welcome) == bytes, "a welcome comes back");
  require(!welcome->rails.empty() && welcome->rails.size() <= transport::ucx::kMaxRails,
          "a welcome's rails");
  const auto size = checked_multiply(welcome->page_bytes, welcome->page_count);
  require(size && checked_add(welcome->base_address, *size), "a welcome's pages have addresses");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_welcome(bytes);
  const bool meets = transport::ucx::offers_meet("ucx1 ib:fe80:0000:0000:0000 roce", bytes);
  require(!meets || bytes.starts_with("ucx1 "), "an offer of another version is not served");
  require(!transport::ucx::parse_lanes(bytes).empty(), "lanes have a name");
  return 0;
}
