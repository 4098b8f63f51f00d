// Hosts that aren't at hand.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <utility>

#include "tools/doctor/judge.h"

namespace baton::doctor {

constexpr std::uint64_t kMiB = 1ULL << 20U;
constexpr std::uint64_t kGiB = 1ULL << 30U;

inline std::string ipv4(unsigned char a, unsigned char b, unsigned char c, unsigned char d) {
  return {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c), static_cast<char>(d)};
}

inline transport::ucx::Gid ipv4_gid(unsigned index, const std::string& ip,
                                    transport::ucx::GidType type) {
  transport::ucx::Gid gid{.index = index, .value = "", .bytes = {}, .type = type, .netdev = "eth2"};
  gid.bytes[10] = gid.bytes[11] = 0xFF;
  std::copy(ip.begin(), ip.end(), gid.bytes.begin() + 12);
  return gid;
}

inline transport::ucx::Gid ipv6_gid(unsigned index, bool link_local, transport::ucx::GidType type) {
  transport::ucx::Gid gid{.index = index, .value = "", .bytes = {}, .type = type, .netdev = "eth2"};
  gid.bytes[0] = link_local ? 0xFE : 0x20;
  gid.bytes[1] = link_local ? 0x80 : 0x01;
  gid.bytes[15] = 1;
  return gid;
}

/// Two network devices, no RDMA, 16 GiB, nothing special.
inline HostFacts plain_host() {
  HostFacts host;
  host.memlock = {.soft_bytes = 8 * kMiB, .hard_bytes = 8 * kMiB, .exempt = false};
  host.transparent_huge_pages = "madvise";
  host.shmem_huge_pages = "never";
  host.memory_bytes = 16 * kGiB;
  host.available_bytes = 12 * kGiB;
  host.ucx = {1, 13, 1};
  host.addresses = {
      {"lo", ipv4(127, 0, 0, 1)}, {"eth0", ipv4(192, 168, 0, 5)}, {"eth2", ipv4(10, 0, 0, 5)}};
  return host;
}

/// The same with a RoCE adapter on eth2 that everybody may open.
inline HostFacts roce_host() {
  using transport::ucx::GidType;
  HostFacts host = plain_host();
  transport::ucx::RdmaPort port;
  port.number = 1;
  port.state = "ACTIVE";
  port.physical_state = "LinkUp";
  port.link_layer = "Ethernet";
  port.rate = "100 Gb/sec (4X EDR)";
  port.netdev = "eth2";
  port.gids = {ipv6_gid(0, true, GidType::kRoceV1), ipv6_gid(1, true, GidType::kRoceV2),
               ipv4_gid(2, ipv4(10, 0, 0, 5), GidType::kRoceV1),
               ipv4_gid(3, ipv4(10, 0, 0, 5), GidType::kRoceV2)};
  host.rdma_devices = {{.name = "mlx5_0",
                        .node_type = "CA",
                        .driver = "mlx5_core",
                        .firmware = "28.39.1002",
                        .ports = {port}}};
  host.verbs_files = {{.device = "mlx5_0", .path = "/dev/infiniband/uverbs0", .error = 0}};
  host.ucx_opened = absl::OkStatus();
  return host;
}

inline auto is(Level level, const std::string& topic, const std::string& part) {
  using ::testing::AllOf;
  using ::testing::Field;
  return AllOf(Field(&Finding::level, level), Field(&Finding::topic, topic),
               Field(&Finding::what, ::testing::HasSubstr(part)));
}

inline auto at_least(Level level) {
  return ::testing::Field(&Finding::level, ::testing::Ge(level));
}

inline void PrintTo(const Finding& finding, std::ostream* out) {
  *out << to_string(finding.level) << " " << finding.topic << ": " << finding.what;
}

}  // namespace baton::doctor
