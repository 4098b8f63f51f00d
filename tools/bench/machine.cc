#include <fmt/format.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "tools/bench/json_pipe.h"
#include "tools/bench/result.h"
#include "tools/bench/stats.h"

namespace baton::bench {
namespace {

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) {
      return line.substr(line.find(':') + 2);
    }
  }
  return "unknown";
}

/// The same computation again and again, in microseconds: on a quiet machine all are equal.
std::vector<double> same_work() {
  constexpr int kTimes = 40;
  constexpr std::uint64_t kSteps = 4'000'000;  // about 5 ms
  std::vector<double> us;
  volatile std::uint64_t result = 0;
  for (int i = 0; i < kTimes; ++i) {
    const auto begun = Clock::now();
    std::uint64_t state = 1;
    for (std::uint64_t step = 0; step < kSteps; ++step) {
      state = state * 6364136223846793005U + 1442695040888963407U;
    }
    result = state;
    us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begun).count());
  }
  static_cast<void>(result);
  return us;
}

}  // namespace

Json describe_machine() {
  utsname system{};
  ::uname(&system);
  struct sysinfo memory {};
  ::sysinfo(&memory);
  double load = 0;
  ::getloadavg(&load, 1);
  const std::vector<double> us = same_work();
  return {{"processor", processor()},
          {"processors", ::sysconf(_SC_NPROCESSORS_ONLN)},
          {"memory_bytes", std::uint64_t{memory.totalram} * memory.mem_unit},
          {"kernel", system.release},
          {"load_before", load},
          {"noise",
           {{"what", "time of one same computation, 40 times: (95th - 5th percentile) / median"},
            {"value", (quantile(us, 0.95) - quantile(us, 0.05)) / median(us)}}}};
}

}  // namespace baton::bench
