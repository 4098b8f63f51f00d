#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <memory>
#include <system_error>

#include "src/base/sysfs.h"
#include "src/base/unique_fd.h"
#include "src/transport/ucx/context.h"
#include "tools/doctor/probe.h"

namespace baton::doctor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kKiB = 1024;
constexpr std::size_t kMaxEntries = 1024;

std::vector<fs::path> entries_of(const fs::path& folder, std::string_view prefix) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator() && found.size() < kMaxEntries;
       entry.increment(error)) {
    if (entry->path().filename().string().starts_with(prefix)) {
      found.push_back(entry->path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::uint64_t number_in(std::string_view text, int base = 10) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number, base);
  return number;
}

std::uint64_t number_of(const fs::path& file) {
  return number_in(read_line(file).value_or(""));
}

/// The number after "NAME:" in a file of such lines.
std::uint64_t field(const fs::path& file, std::string_view name, int base = 10) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name) && line.substr(name.size()).starts_with(":")) {
      const std::size_t begin = line.find_first_not_of(" \t", name.size() + 1);
      return begin == std::string::npos ? 0 : number_in(std::string_view(line).substr(begin), base);
    }
  }
  return 0;
}

std::vector<VerbsFile> verbs_files() {
  std::vector<VerbsFile> files;
  for (const fs::path& entry : entries_of("/sys/class/infiniband_verbs", "uverbs")) {
    const fs::path path = fs::path("/dev/infiniband") / entry.filename();
    VerbsFile file;
    file.device = read_line(entry / "ibdev").value_or("unknown");
    file.path = path;
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
    file.error = fd ? 0 : errno;
    files.push_back(std::move(file));
  }
  return files;
}

std::optional<std::uint64_t> limit_of(rlim_t limit) {
  return limit == RLIM_INFINITY ? std::nullopt : std::optional<std::uint64_t>(limit);
}

/// The kernel asks for CAP_IPC_LOCK in the first user namespace: root of a rootless container has
/// it in its own only.
bool in_first_user_namespace() {
  std::ifstream map("/proc/self/uid_map");
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
  constexpr std::uint64_t kAll = 4'294'967'295;
  return map >> inside >> outside >> count && inside == 0 && outside == 0 && count == kAll;
}

Memlock memlock() {
  constexpr unsigned kCapIpcLock = 14;
  Memlock found;
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
    found.soft_bytes = limit_of(limit.rlim_cur);
    found.hard_bytes = limit_of(limit.rlim_max);
  }
  const std::uint64_t effective = field("/proc/self/status", "CapEff", 16);
  found.exempt = ((effective >> kCapIpcLock) & 1U) != 0 && in_first_user_namespace();
  return found;
}

std::vector<HugePages> huge_pages() {
  constexpr std::string_view kPrefix = "hugepages-";
  std::vector<HugePages> found;
  for (const fs::path& entry : entries_of("/sys/kernel/mm/hugepages", kPrefix)) {
    const std::string name = entry.filename();  // hugepages-2048kB
    found.push_back({.page_bytes = number_in(std::string_view(name).substr(kPrefix.size())) * kKiB,
                     .total = number_of(entry / "nr_hugepages"),
                     .free = number_of(entry / "free_hugepages")});
  }
  std::sort(found.begin(), found.end(),
            [](const HugePages& a, const HugePages& b) { return a.page_bytes < b.page_bytes; });
  return found;
}

/// "always [madvise] never" is madvise.
std::string chosen_word(const fs::path& file) {
  const std::string text = read_line(file).value_or("");
  const std::size_t begin = text.find('[');
  const std::size_t end = text.find(']');
  return begin == std::string::npos || end == std::string::npos || end < begin
             ? std::string("unknown")
             : text.substr(begin + 1, end - begin - 1);
}

std::vector<std::pair<std::string, std::string>> ucx_environment() {
  std::vector<std::pair<std::string, std::string>> found;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (text.starts_with("UCX_") && equals != std::string_view::npos) {
      found.emplace_back(printable(text.substr(0, equals)), printable(text.substr(equals + 1)));
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<HostAddress> addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return {};
  }
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  std::vector<HostAddress> found;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) {
      continue;
    }
    const void* at = nullptr;
    std::size_t bytes = 0;
    if (entry->ifa_addr->sa_family == AF_INET) {
      at = &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr;
      bytes = sizeof(in_addr);
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      at = &reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr;
      bytes = sizeof(in6_addr);
    } else {
      continue;
    }
    found.push_back({entry->ifa_name, std::string(static_cast<const char*>(at), bytes)});
  }
  return found;
}

}  // namespace

UcxVersion parse_ucx_version(std::string_view text) {
  std::array<unsigned, 3> parts{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (unsigned& part : parts) {
    const auto [stop, error] = std::from_chars(at, end, part);
    if (error != std::errc{} || stop == end || *stop != '.') {
      break;
    }
    at = stop + 1;
  }
  return {parts[0], parts[1], parts[2]};
}

HostFacts probe_host() {
  HostFacts host;
  host.rdma_devices = transport::ucx::list_rdma_devices();
  host.verbs_files = verbs_files();
  host.memlock = memlock();
  host.huge_pages = huge_pages();
  const fs::path thp = "/sys/kernel/mm/transparent_hugepage";
  host.transparent_huge_pages = chosen_word(thp / "enabled");
  host.shmem_huge_pages = chosen_word(thp / "shmem_enabled");
  host.memory_bytes = field("/proc/meminfo", "MemTotal") * kKiB;
  host.available_bytes = field("/proc/meminfo", "MemAvailable") * kKiB;
  host.ucx = parse_ucx_version(transport::ucx::library_version());
  host.ucx_environment = ucx_environment();
  host.addresses = addresses();
  return host;
}

}  // namespace baton::doctor
