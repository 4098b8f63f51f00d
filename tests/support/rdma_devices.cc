#include "tests/support/rdma_devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "src/transport/ucx/rdma_devices.h"

namespace baton::testing {
namespace {

/// Without the port: "rxe0:1" is rxe0.
std::string name_of(const std::string& device) {
  return device.substr(0, device.find(':'));
}

}  // namespace

std::vector<std::string> rdma_devices_for_tests() {
  const char* const names = std::getenv("BATON_TEST_UCX_DEVICES");
  std::istringstream words(names == nullptr ? "" : names);
  return {std::istream_iterator<std::string>(words), {}};
}

bool set_link(const std::string& device, bool up) {
  const auto devices = transport::ucx::list_rdma_devices();
  const auto found = std::find_if(devices.begin(), devices.end(),
                                  [&](const auto& each) { return each.name == name_of(device); });
  if (found == devices.end() || found->ports.empty()) {
    return false;
  }
  const std::string command =
      fmt::format("ip link set {} {}", found->ports.front().netdev, up ? "up" : "down");
  return std::system(command.c_str()) == 0;
}

std::uint64_t sent_packets(const std::string& device) {
  std::ifstream file(fmt::format("{}/{}/ports/1/hw_counters/sent_pkts",
                                 transport::ucx::kInfinibandRoot, name_of(device)));
  std::uint64_t packets = 0;
  file >> packets;
  return packets;
}

}  // namespace baton::testing
