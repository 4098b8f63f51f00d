// The RDMA devices that a test may use, and their cables.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace baton::testing {

/// Of the environment variable BATON_TEST_UCX_DEVICES: "rxe0:1 rxe1:1 …", all on one network.
std::vector<std::string> rdma_devices_for_tests();

/// Takes the link of the device's network interface down, or up. False if that can't be done.
bool set_link(const std::string& device, bool up);

/// RoCE packets that the device has sent since it was made.
std::uint64_t sent_packets(const std::string& device);

}  // namespace baton::testing
