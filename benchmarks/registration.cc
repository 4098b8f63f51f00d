// What it costs to register memory with an RDMA device through UCX, by size and kind of page.
//
// Each run maps fresh memory, so that neither page tables nor a registration cache have seen it,
// and UCX is told to register directly. The kernel's count of pinned bytes (VmPin) proves that a
// device really has the memory.
#include <fmt/format.h>
#include <sys/mman.h>
#include <ucp/api/ucp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "src/memory/registered_buffer.h"

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::size_t kMiB = 1U << 20U;
constexpr std::size_t kMinBytes = 2 * kMiB;  // one huge page

/// Memory of one run, unmapped at the end of its life.
using Memory = std::shared_ptr<std::byte>;

Memory map_anonymous(std::size_t bytes, int flags, int advice, bool touch) {
  void* const mapped =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (mapped == MAP_FAILED) {
    return nullptr;
  }
  Memory memory(static_cast<std::byte*>(mapped), [bytes](std::byte* at) { munmap(at, bytes); });
  if (advice != 0) {
    madvise(mapped, bytes, advice);
  }
  if (touch) {
    std::memset(mapped, 1, bytes);
  }
  return memory;
}

/// As PdBackend makes it: a memfd, populated.
Memory map_buffer(std::size_t bytes) {
  constexpr std::size_t kPage = 64 * 1024;
  auto made = baton::RegisteredBuffer::create(kPage, static_cast<std::uint32_t>(bytes / kPage));
  if (!made.ok()) {
    return nullptr;
  }
  const std::shared_ptr<baton::RegisteredBuffer> buffer = *std::move(made);
  return {buffer, buffer->data()};
}

struct Kind {
  std::string name;
  std::function<Memory(std::size_t)> map;
};

std::vector<Kind> kinds() {
  return {
      {"4 KiB pages, untouched",
       [](std::size_t bytes) { return map_anonymous(bytes, 0, MADV_NOHUGEPAGE, false); }},
      {"4 KiB pages, touched",
       [](std::size_t bytes) { return map_anonymous(bytes, 0, MADV_NOHUGEPAGE, true); }},
      {"Baton's buffer (memfd)", map_buffer},
      {"2 MiB pages, touched",
       [](std::size_t bytes) { return map_anonymous(bytes, MAP_HUGETLB, 0, true); }},
  };
}

std::size_t pinned_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmPin:") {
      std::size_t kib = 0;
      status >> kib;
      return kib * 1024;
    }
  }
  return 0;
}

void check(ucs_status_t status, std::string_view what) {
  if (status != UCS_OK) {
    throw std::runtime_error(fmt::format("{}: {}", what, ucs_status_string(status)));
  }
}

struct Cleanup {
  void operator()(ucp_context_h context) const { ucp_cleanup(context); }
};
using Context = std::unique_ptr<ucp_context, Cleanup>;

Context make_context() {
  // The switch that makes UCX register at once moved in 1.16; the other one is not looked at.
  setenv("UCX_IB_REG_METHODS", "direct", 0);
  setenv("UCX_RCACHE_ENABLE", "n", 0);
  setenv("UCX_WARN_UNUSED_ENV_VARS", "n", 0);
  ucp_config_t* config = nullptr;
  check(ucp_config_read(nullptr, nullptr, &config), "UCX configuration");
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES;
  params.features = UCP_FEATURE_RMA;
  ucp_context_h context = nullptr;
  const ucs_status_t status = ucp_init(&params, config, &context);
  ucp_config_release(config);
  check(status, "UCX");
  return Context(context);
}

struct Times {
  double prepare = 0;
  double map = 0;
  double unmap = 0;
  std::size_t devices = 0;  ///< each of them has pinned all of it
};

class Stopwatch {
 public:
  double lap_ms() {
    const auto now = Clock::now();
    return Milliseconds(now - std::exchange(last_, now)).count();
  }

 private:
  Clock::time_point last_ = Clock::now();
};

/// Nothing if there is no memory of that kind.
std::optional<Times> run_once(ucp_context_h context, const Kind& kind, std::size_t bytes) {
  Times times;
  Stopwatch watch;
  const Memory memory = kind.map(bytes);
  if (memory == nullptr) {
    return std::nullopt;
  }
  times.prepare = watch.lap_ms();
  const std::size_t pinned_before = pinned_bytes();
  ucp_mem_map_params_t params{};
  params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH;
  params.address = memory.get();
  params.length = bytes;
  ucp_mem_h handle = nullptr;
  watch.lap_ms();
  check(ucp_mem_map(context, &params, &handle),
        fmt::format("registering {} MiB (is RLIMIT_MEMLOCK too small?)", bytes / kMiB));
  times.map = watch.lap_ms();
  const std::size_t pinned = pinned_bytes() - pinned_before;
  watch.lap_ms();
  check(ucp_mem_unmap(context, handle), "unregistering");
  times.unmap = watch.lap_ms();
  if (pinned < bytes) {
    throw std::runtime_error(fmt::format(
        "{} of {} bytes are pinned: no RDMA device has registered them. Is there one (`baton "
        "doctor`), and do UCX_TLS and UCX_NET_DEVICES allow it?",
        pinned, bytes));
  }
  times.devices = pinned / bytes;
  return times;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void measure(ucp_context_h context, std::size_t max_bytes, unsigned runs) {
  std::size_t devices = 0;
  fmt::print("| MiB | memory | made and touched, ms | ucp_mem_map, ms | ucp_mem_unmap, ms |\n");
  fmt::print("|---:|---|---:|---:|---:|\n");
  for (std::size_t bytes = kMinBytes; bytes <= max_bytes; bytes *= 4) {
    for (const Kind& kind : kinds()) {
      std::vector<double> prepare;
      std::vector<double> map;
      std::vector<double> unmap;
      while (map.size() < runs) {
        const auto times = run_once(context, kind, bytes);
        if (!times) {
          break;
        }
        prepare.push_back(times->prepare);
        map.push_back(times->map);
        unmap.push_back(times->unmap);
        devices = times->devices;
      }
      if (map.empty()) {
        fmt::print("| {} | {} | none to be had: {} | | |\n", bytes / kMiB, kind.name,
                   std::strerror(errno));
      } else {
        fmt::print("| {} | {} | {:.2f} | {:.2f} | {:.2f} |\n", bytes / kMiB, kind.name,
                   median(prepare), median(map), median(unmap));
      }
      std::fflush(stdout);
    }
  }
  fmt::print("\nRegistered with {} {}, UCX {}.\n", devices, devices == 1 ? "device" : "devices",
             ucp_get_version_string());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures what registering memory with an RDMA device costs, by size",
               "baton-registration");
  app.footer(
      "Medians, as a Markdown table. Needs an ACTIVE RDMA port, a memlock limit of at least\n"
      "--max (ulimit -l), and for the last kind of page free huge pages (vm.nr_hugepages).\n\n"
      "Example:\n  UCX_NET_DEVICES=mlx5_0:1 UCX_TLS=rc baton-registration --max 1024");
  std::size_t max_mib = 512;
  unsigned runs = 5;
  app.add_option("--max", max_mib, "Largest size, MiB; sizes are 2, 8, 32, …")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  app.add_option("--runs", runs, "Runs of each, of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    constexpr int kUsageError = 2;
    return app.exit(error) == 0 ? 0 : kUsageError;
  }
  try {
    const Context context = make_context();
    measure(context.get(), max_mib * kMiB, runs);
  } catch (const std::exception& error) {
    fmt::print(stderr, "baton-registration: {}\n", error.what());
    return 1;
  }
  return 0;
}
