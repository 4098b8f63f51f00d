// What Baton decodes of NIXL's itself: the welcome, and the envelope of an agent's metadata.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/base/checked.h"
#include "src/transport/nixl/metadata.h"
#include "src/transport/nixl/welcome.h"
#include "tests/fuzz/require.h"

namespace {

using namespace baton;  // NOLINT(google-build-using-namespace)
using fuzz::require;

void check_metadata(std::string_view bytes) {
  const auto metadata = transport::nixl::check_metadata(bytes);
  if (!metadata.ok()) {
    return;
  }
  require(!metadata->agent_name.empty() &&
              metadata->agent_name.size() <= transport::nixl::kMaxAgentNameBytes,
          "an agent's name");
  require(metadata->regions.size() <= transport::nixl::kMaxRegions, "regions are bounded");
  for (const auto& region : metadata->regions) {
    require(checked_add(region.address, region.length_bytes).has_value(), "a region has addresses");
    require(transport::nixl::covers(*metadata, region.address, region.length_bytes, region.device),
            "a region covers itself");
  }
}

void check_welcome(std::string_view bytes) {
  const auto welcome = transport::nixl::parse_welcome(bytes);
  if (!welcome.ok()) {
    return;
  }
  require(transport::nixl::encode(*welcome) == bytes, "a welcome comes back");
  const auto metadata = transport::nixl::check_metadata(welcome->metadata);
  require(metadata.ok(), "a welcome's metadata are checked");
  require(transport::nixl::covers(*metadata, welcome->base_address,
                                  welcome->page_bytes * welcome->page_count, 0),
          "a welcome's pages are registered");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_metadata(bytes);
  check_welcome(bytes);
  return 0;
}
