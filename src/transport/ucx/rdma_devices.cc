#include "src/transport/ucx/rdma_devices.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>
#include <utility>

#include "src/base/sysfs.h"

namespace baton::transport::ucx {
namespace {

namespace fs = std::filesystem;

// Above what hardware has; a hostile tree must end.
constexpr std::size_t kMaxDevices = 256;
constexpr std::size_t kMaxPorts = 256;
constexpr std::size_t kMaxGids = 1024;
constexpr std::size_t kMaxScanned = 4096;

std::string text_of(const fs::path& file) {
  return read_line(file).value_or(std::string(kUnknownText));
}

/// "4: ACTIVE" is ACTIVE to us.
std::string name_of_state(const fs::path& file) {
  const std::string text = text_of(file);
  const std::size_t colon = text.find(": ");
  return colon == std::string::npos ? text : text.substr(colon + 2);
}

std::optional<unsigned> to_number(std::string_view text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty()
             ? std::optional(number)
             : std::nullopt;
}

/// Names of the entries of `folder`, sorted; only those that are printable and not too many.
std::vector<std::string> entries_of(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (std::size_t seen = 0; !error && entry != fs::directory_iterator() && seen < kMaxScanned;
       entry.increment(error), ++seen) {
    std::string name = entry->path().filename().string();
    if (std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; })) {
      names.push_back(std::move(name));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Those of them that are numbers, ascending, each once.
std::vector<unsigned> numbered_entries_of(const fs::path& folder) {
  std::vector<unsigned> numbers;
  for (const std::string& name : entries_of(folder)) {
    // "01" would be read as the file "1".
    if (const auto number = to_number(name); number && std::to_string(*number) == name) {
      numbers.push_back(*number);
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

/// "fe80:0000:0000:0000:5054:00ff:fe12:3456"
std::optional<GidBytes> parse_gid(std::string_view text) {
  constexpr std::size_t kText = 39;
  constexpr std::size_t kGroup = 5;  // with its colon
  if (text.size() != kText) {
    return std::nullopt;
  }
  GidBytes bytes{};
  for (std::size_t group = 0; group < bytes.size() / 2; ++group) {
    const char* const begin = text.data() + group * kGroup;
    std::uint16_t value = 0;
    const auto [end, error] = std::from_chars(begin, begin + 4, value, 16);
    const bool separated = group == bytes.size() / 2 - 1 || begin[4] == ':';
    if (error != std::errc{} || end != begin + 4 || !separated) {
      return std::nullopt;
    }
    bytes.at(2 * group) = static_cast<std::uint8_t>(value >> 8U);
    bytes.at(2 * group + 1) = static_cast<std::uint8_t>(value & 0xFFU);
  }
  return bytes;
}

/// The kernel writes "IB/RoCE v1" on both link layers.
GidType parse_type(std::string_view text, std::string_view link_layer) {
  if (text == "RoCE v2") {
    return GidType::kRoceV2;
  }
  if (text != "IB/RoCE v1") {
    return GidType::kUnknown;
  }
  return link_layer == "Ethernet" ? GidType::kRoceV1 : GidType::kIb;
}

std::vector<Gid> gids_of(const fs::path& port, std::string_view link_layer) {
  std::vector<Gid> gids;
  for (const unsigned index : numbered_entries_of(port / "gids")) {
    const std::string name = std::to_string(index);
    const std::string value = text_of(port / "gids" / name);
    const auto bytes = parse_gid(value);
    if (!bytes || *bytes == GidBytes{} || gids.size() == kMaxGids) {
      continue;
    }
    gids.push_back({.index = index,
                    .value = value,
                    .bytes = *bytes,
                    .type = parse_type(text_of(port / "gid_attrs" / "types" / name), link_layer),
                    .netdev = text_of(port / "gid_attrs" / "ndevs" / name)});
  }
  return gids;
}

/// Adapters list their network devices; software ones (rxe, siw) name the one they stand on.
std::string netdev_of(const fs::path& device, const std::vector<Gid>& gids) {
  for (const Gid& gid : gids) {
    if (gid.netdev != kUnknownText) {
      return gid.netdev;
    }
  }
  if (const auto parent = read_line(device / "parent")) {
    return *parent;
  }
  const std::vector<std::string> names = entries_of(device / "device" / "net");
  return names.size() == 1 ? names.front() : std::string(kUnknownText);
}

RdmaPort read_port(const fs::path& device, unsigned number) {
  const fs::path port = device / "ports" / std::to_string(number);
  RdmaPort found;
  found.number = number;
  found.state = name_of_state(port / "state");
  found.physical_state = name_of_state(port / "phys_state");
  found.link_layer = text_of(port / "link_layer");
  found.rate = text_of(port / "rate");
  found.lid = text_of(port / "lid");
  found.gids = gids_of(port, found.link_layer);
  found.netdev = netdev_of(device, found.gids);
  return found;
}

RdmaDevice read_device(const fs::path& device) {
  RdmaDevice found;
  found.name = device.filename();
  found.node_type = name_of_state(device / "node_type");
  found.firmware = text_of(device / "fw_ver");
  std::error_code error;
  const fs::path driver = fs::read_symlink(device / "device" / "driver", error);
  found.driver = error ? std::string(kUnknownText) : printable(driver.filename().string());
  for (const unsigned number : numbered_entries_of(device / "ports")) {
    if (found.ports.size() < kMaxPorts) {
      found.ports.push_back(read_port(device, number));
    }
  }
  return found;
}

}  // namespace

std::string_view to_string(GidType type) {
  switch (type) {
    case GidType::kIb:
      return "IB";
    case GidType::kRoceV1:
      return "RoCE v1";
    case GidType::kRoceV2:
      return "RoCE v2";
    case GidType::kUnknown:
      break;
  }
  return kUnknownText;
}

bool Gid::is_ipv4() const {
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  return std::equal(kMapped.begin(), kMapped.end(), bytes.begin());
}

bool Gid::is_link_local() const {
  return bytes[0] == 0xFE && (bytes[1] & 0xC0U) == 0x80;
}

std::vector<RdmaDevice> list_rdma_devices(const fs::path& root) {
  std::vector<RdmaDevice> devices;
  for (const std::string& name : entries_of(root)) {
    std::error_code error;
    if (devices.size() < kMaxDevices && fs::is_directory(root / name, error)) {
      devices.push_back(read_device(root / name));
    }
  }
  return devices;
}

bool has_reliable_verbs(const RdmaDevice& device, const RdmaPort& port) {
  return device.node_type != "RNIC" &&
         (port.link_layer == "InfiniBand" || port.link_layer == "Ethernet");
}

std::vector<std::string> active_ports_among(std::string_view devices, const fs::path& root) {
  std::vector<std::string> wanted;
  const bool all = devices.empty() || devices == "all";
  if (all) {
    for (const std::string& name : entries_of(root)) {
      for (const unsigned port : numbered_entries_of(root / name / "ports")) {
        wanted.push_back(name + ":" + std::to_string(port));
      }
    }
  }
  while (!all && !devices.empty()) {
    const std::string_view entry = devices.substr(0, devices.find(','));
    devices.remove_prefix(std::min(entry.size() + 1, devices.size()));
    wanted.emplace_back(entry);
  }
  std::erase_if(wanted, [&](const std::string& entry) {
    const std::size_t colon = std::min(entry.find(':'), entry.size());
    // Nothing but names: what stands there comes from outside.
    const fs::path name = fs::path(entry.substr(0, colon)).filename();
    const fs::path port = fs::path(entry.substr(std::min(colon + 1, entry.size()))).filename();
    return name.empty() || port.empty() ||
           name_of_state(root / name / "ports" / port / "state") != "ACTIVE";
  });
  return wanted;
}

bool any_active_port(std::span<const RdmaDevice> devices) {
  return std::any_of(devices.begin(), devices.end(), [](const RdmaDevice& device) {
    return std::any_of(device.ports.begin(), device.ports.end(), [&](const RdmaPort& port) {
      return port.is_active() && has_reliable_verbs(device, port);
    });
  });
}

}  // namespace baton::transport::ucx
