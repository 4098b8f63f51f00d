#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <functional>

#include "tools/doctor/judge.h"
#include "tools/doctor/text.h"

namespace baton::doctor {
namespace {

using transport::ucx::Gid;
using transport::ucx::GidType;
using transport::ucx::RdmaDevice;
using transport::ucx::RdmaPort;

constexpr UcxVersion kFirstWithEfaWrites{1, 20, 0};
constexpr UcxVersion kFirstThatPrefersRouted{1, 21, 0};

std::string gid_text(const Gid& gid) {
  constexpr std::size_t kIpv4At = 12;
  const std::string ip(gid.bytes.begin(), gid.bytes.end());
  return fmt::format("{} ({}, {})", gid.index, to_string(gid.type),
                     ip_text(gid.is_ipv4() ? ip.substr(kIpv4At) : ip));
}

const std::string* environment(const HostFacts& host, std::string_view name) {
  const auto found = std::find_if(host.ucx_environment.begin(), host.ucx_environment.end(),
                                  [&](const auto& variable) { return variable.first == name; });
  return found == host.ucx_environment.end() ? nullptr : &found->second;
}

std::vector<std::string> items(std::string_view list) {
  std::vector<std::string> found;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    found.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return found;
}

std::string how_to_wake(const RdmaPort& port) {
  if (port.link_layer == "InfiniBand" && port.state == "INIT") {
    return "the link is up, but no subnet manager has configured it: start opensm on one host, or "
           "the switch's own";
  }
  return port.netdev == transport::ucx::kUnknownText
             ? std::string("check cable and switch; `rdma link` shows the state")
             : fmt::format("`ip link set {} up`; check cable and switch", port.netdev);
}

void judge_gid(const HostFacts& host, const std::string& where, const RdmaPort& port,
               Findings& out) {
  const std::string* const told = environment(host, "UCX_IB_GID_INDEX");
  unsigned index = 0;
  if (told != nullptr &&
      std::from_chars(told->data(), told->data() + told->size(), index).ec == std::errc{}) {
    const auto gid = std::find_if(port.gids.begin(), port.gids.end(),
                                  [&](const Gid& entry) { return entry.index == index; });
    if (gid == port.gids.end()) {
      out.push_back({Level::kWarning, "gid",
                     fmt::format("UCX_IB_GID_INDEX is {}, but {} has no such GID", index, where),
                     "unset it, or name one that is listed"});
    } else {
      out.push_back({Level::kOk, "gid",
                     fmt::format("{}: UCX is told to take GID {}", where, gid_text(*gid)), ""});
    }
    return;
  }
  const Gid* const gid = default_gid(port, host.ucx);
  if (gid == nullptr) {
    out.push_back({Level::kWarning, "gid",
                   fmt::format("{} has no GID: nobody can address it", where),
                   fmt::format("give {} an address, and set it up", port.netdev)});
    return;
  }
  const std::string what = fmt::format("{}: UCX will take GID {}", where, gid_text(*gid));
  if (gid->type != GidType::kRoceV2) {
    out.push_back({Level::kWarning, "gid",
                   what + "; RoCE v1 is not routed, and peers with RoCE v2 don't understand it",
                   "use an adapter and a driver with RoCE v2"});
  } else if (gid->is_link_local()) {
    const auto routed = std::find_if(port.gids.begin(), port.gids.end(), [](const Gid& other) {
      return other.type == GidType::kRoceV2 && !other.is_link_local();
    });
    out.push_back(
        {Level::kWarning, "gid", what + ", which reaches only hosts on the same link",
         routed == port.gids.end()
             ? fmt::format("give {} an IPv4 address if peers are behind a router", port.netdev)
             : fmt::format("set UCX_IB_GID_INDEX={}", routed->index)});
  } else {
    out.push_back({Level::kOk, "gid", what, ""});
  }
}

void judge_port(const HostFacts& host, const RdmaDevice& device, const RdmaPort& port,
                Findings& out) {
  const std::string where = fmt::format("{}:{}", device.name, port.number);
  if (!port.is_active()) {
    out.push_back({Level::kWarning, "port",
                   fmt::format("{} is {} (physically {}), not ACTIVE: it carries nothing", where,
                               port.state, port.physical_state),
                   how_to_wake(port)});
    return;
  }
  if (device.driver == "efa") {
    out.push_back(
        {Level::kNote, "port",
         fmt::format(
             "{} is an EFA: Baton doesn't use it{}", where,
             host.ucx < kFirstWithEfaWrites ? ", nor can this UCX write by it (1.20 can)" : ""),
         "see docs/rdma.md"});
    return;
  }
  if (!has_reliable_verbs(device, port)) {
    out.push_back({Level::kNote, "port",
                   fmt::format("{} ({}, {}) has no verbs that UCX uses (iWARP, for one)", where,
                               device.node_type, port.link_layer),
                   ""});
    return;
  }
  out.push_back({Level::kOk, "port",
                 fmt::format("{} is ACTIVE: {}, {}", where, port.link_layer, port.rate), ""});
  if (port.link_layer == "Ethernet") {
    judge_gid(host, where, port, out);
  }
}

void judge_verbs_files(const HostFacts& host, Findings& out) {
  for (const RdmaDevice& device : host.rdma_devices) {
    const auto file =
        std::find_if(host.verbs_files.begin(), host.verbs_files.end(),
                     [&](const VerbsFile& verbs) { return verbs.device == device.name; });
    if (file == host.verbs_files.end()) {
      out.push_back(
          {Level::kWarning, "verbs",
           fmt::format("{} has no verbs: the kernel module ib_uverbs is missing", device.name),
           "`modprobe ib_uverbs`"});
    } else if (file->error == ENOENT) {
      out.push_back({Level::kWarning, "verbs",
                     fmt::format("{} of {} isn't there", file->path, device.name),
                     "in a container, pass it in: --device=/dev/infiniband"});
    } else if (file->error != 0) {
      out.push_back({Level::kWarning, "verbs",
                     fmt::format("{} of {} can't be opened: {}", file->path, device.name,
                                 std::strerror(file->error)),
                     "let the user of this process read and write it; in a container, pass it in: "
                     "--device=/dev/infiniband"});
    } else {
      out.push_back(
          {Level::kOk, "verbs", fmt::format("{} of {} opens", file->path, device.name), ""});
    }
  }
}

/// Of UCX_NET_DEVICES: "mlx5_0:1" or "mlx5_0"; a leading '^' turns the list round, and "all" is
/// all.
bool names_port(std::string_view list, const RdmaDevice& device, const RdmaPort& port) {
  if (list == "all") {
    return true;
  }
  const bool all_but = list.starts_with("^");
  const std::vector<std::string> names = items(list.substr(all_but ? 1 : 0));
  const bool listed = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return name == device.name || name == fmt::format("{}:{}", device.name, port.number);
  });
  return listed != all_but;
}

void judge_net_devices(const HostFacts& host, const std::string& list, Findings& out) {
  bool any = false;
  for (const RdmaDevice& device : host.rdma_devices) {
    for (const RdmaPort& port : device.ports) {
      any = any || names_port(list, device, port);
    }
  }
  if (!any) {
    out.push_back({Level::kWarning, "environment",
                   fmt::format("UCX_NET_DEVICES={} names no RDMA port of this host: UCX won't use "
                               "any",
                               list),
                   "unset it, or name ports as they are listed: mlx5_0:1"});
  }
}

/// What else is wrong with the list, UCX and the transport say themselves.
void judge_tls(const std::string& list, Findings& out) {
  constexpr std::array<std::string_view, 3> kWrites = {"rc", "dc", "ib"};
  const std::vector<std::string> names = items(list);
  const bool writes = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return std::any_of(kWrites.begin(), kWrites.end(),
                       [&](auto prefix) { return name.starts_with(prefix); });
  });
  if (!writes) {
    out.push_back({Level::kWarning, "environment",
                   fmt::format("UCX_TLS={} leaves out rc: UCX won't write by RDMA", list),
                   "unset it, or add rc"});
  }
}

void judge_opening(const HostFacts& host, Findings& out) {
  if (!host.ucx_opened) {
    return;
  }
  if (host.ucx_opened->ok()) {
    out.push_back({Level::kOk, "ucx", "UCX opens the devices", ""});
  } else {
    out.push_back({Level::kWarning, "ucx", std::string(host.ucx_opened->message()),
                   "see the findings on ports, verbs and environment"});
  }
}

}  // namespace

const Gid* default_gid(const RdmaPort& port, UcxVersion version) {
  struct Preference {
    GidType type;
    bool ipv4;
    bool link_local;
  };
  constexpr std::array<Preference, 6> kOrder = {{{GidType::kRoceV2, true, true},
                                                 {GidType::kRoceV2, false, false},
                                                 {GidType::kRoceV2, false, true},
                                                 {GidType::kRoceV1, true, true},
                                                 {GidType::kRoceV1, false, false},
                                                 {GidType::kRoceV1, false, true}}};
  for (const Preference& preference : kOrder) {
    const bool link_local_too = preference.link_local || version < kFirstThatPrefersRouted;
    for (const Gid& gid : port.gids) {
      if (gid.type == preference.type && gid.is_ipv4() == preference.ipv4 &&
          (link_local_too || !gid.is_link_local())) {
        return &gid;
      }
    }
  }
  return nullptr;
}

std::size_t count_registrations(const HostFacts& host, const Options& options) {
  const std::string* const variable = environment(host, "UCX_NET_DEVICES");
  std::vector<std::string> lists = options.pd_ucx_rails;
  if (lists.empty()) {
    lists.push_back(variable != nullptr ? *variable : "all");
  }
  std::size_t count = 0;
  for (const std::string& list : lists) {
    for (const RdmaDevice& device : host.rdma_devices) {
      const bool used =
          std::any_of(device.ports.begin(), device.ports.end(), [&](const RdmaPort& port) {
            return port.is_active() && has_reliable_verbs(device, port) &&
                   names_port(list, device, port);
          });
      count += used ? 1 : 0;
    }
  }
  return count;
}

std::uint64_t bytes_to_lock(const HostFacts& host, const Options& options) {
  // Far below 2^64: both are bounded.
  return options.pd_buffer_size * count_registrations(host, options);
}

Findings judge_rdma(const HostFacts& host) {
  Findings out;
  for (const RdmaDevice& device : host.rdma_devices) {
    for (const RdmaPort& port : device.ports) {
      judge_port(host, device, port, out);
    }
  }
  judge_verbs_files(host, out);
  judge_opening(host, out);
  if (host.rdma_devices.empty()) {
    return out;
  }
  if (const std::string* const list = environment(host, "UCX_NET_DEVICES")) {
    judge_net_devices(host, *list, out);
  }
  if (const std::string* const list = environment(host, "UCX_TLS")) {
    judge_tls(*list, out);
  }
  return out;
}

}  // namespace baton::doctor
