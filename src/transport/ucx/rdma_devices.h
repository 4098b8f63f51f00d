// The RDMA devices of this host, read from sysfs: no verbs library is needed to know whether there
// are any. Formats: Linux, Documentation/ABI/stable/sysfs-class-infiniband.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace baton::transport::ucx {

/// What a file didn't say.
inline constexpr std::string_view kUnknownText = "unknown";
inline constexpr const char* kInfinibandRoot = "/sys/class/infiniband";

enum class GidType : std::uint8_t { kUnknown, kIb, kRoceV1, kRoceV2 };
std::string_view to_string(GidType type);

using GidBytes = std::array<std::uint8_t, 16>;

/// An entry of a port's GID table: an address under which the port is reached.
struct Gid {
  unsigned index = 0;
  std::string value;  ///< as the kernel writes it: eight groups of four hex digits
  GidBytes bytes{};
  GidType type = GidType::kUnknown;
  std::string netdev;  ///< whose address it is; "unknown" on InfiniBand

  bool is_ipv4() const;        ///< ::ffff:a.b.c.d
  bool is_link_local() const;  ///< fe80::/10
};

struct RdmaPort {
  unsigned number = 0;
  std::string state;           ///< "ACTIVE", "DOWN", …
  std::string physical_state;  ///< "LinkUp", "Disabled", …
  std::string link_layer;      ///< "InfiniBand", "Ethernet" (RoCE, iWARP), "Unspecified" (EFA)
  std::string rate;            ///< "100 Gb/sec (4X EDR)"
  std::string lid;             ///< "0x1c"; 0x0 on Ethernet
  std::string netdev;
  std::vector<Gid> gids;  ///< without those that are zero; by index

  bool is_active() const { return state == "ACTIVE"; }
};

struct RdmaDevice {
  std::string name;
  std::string node_type;  ///< "CA", "RNIC" (iWARP), …
  std::string driver;     ///< "mlx5_core", "efa", …; "unknown" for one made of software
  std::string firmware;
  std::vector<RdmaPort> ports;  ///< by number
};

/// By name. Nothing if `root` isn't there; what a file doesn't say is "unknown". Bounded in every
/// dimension, whatever stands there.
std::vector<RdmaDevice> list_rdma_devices(const std::filesystem::path& root = kInfinibandRoot);

/// Whether the verbs that one-sided writes need are there: InfiniBand or RoCE. UCX refuses iWARP,
/// and EFA has another kind of queue pair, by which UCX can write since 1.20.
bool has_reliable_verbs(const RdmaDevice& device, const RdmaPort& port);

/// The ports among `devices` that are ACTIVE now, as "mlx5_0:1". `devices` as UCX_NET_DEVICES has
/// them: "mlx5_0:1,mlx5_1:1"; empty or "all" for all devices. A word that is no device and port
/// adds none. Reads one file for each port.
std::vector<std::string> active_ports_among(std::string_view devices,
                                            const std::filesystem::path& root = kInfinibandRoot);
inline bool any_active_among(std::string_view devices,
                             const std::filesystem::path& root = kInfinibandRoot) {
  return !active_ports_among(devices, root).empty();
}

/// Is there an ACTIVE port that has reliable verbs?
bool any_active_port(std::span<const RdmaDevice> devices);

}  // namespace baton::transport::ucx
