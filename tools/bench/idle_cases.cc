// What it costs to be connected and have nothing to do.
#include <poll.h>

#include <algorithm>

#include "tools/bench/put_cases.h"

namespace baton::bench {
namespace {

constexpr double kAllowedPercent = 0.5;  // of one processor
constexpr double kLeastPercent = 1e-4;   // so that nothing at all has a ratio

void idle(Run& run) {
  const int window_ms = run.sized(1000, 100);
  const Json settings = {{"transport", "shm"}, {"integrity", "full"},
                         {"poll", "sleep"},    {"chunk_bytes", 64U << 10U},
                         {"chunks", 64},       {"window_ms", window_ms}};
  BatonPair pair(run, settings);
  pair.pass(1, 4);
  CaseResult result;
  result.name = "idle";
  result.reference_name = "half_a_percent";
  result.unit = "% of a cpu";
  result.target = 1.0;
  result.settings = settings;
  run.measure(
      result, {&pair.sender(), &pair.receiver()}, false,
      [&] {
        const double before = pair.cpu_seconds();
        ::poll(nullptr, 0, window_ms);
        return std::max(kLeastPercent, 100 * (pair.cpu_seconds() - before) / (window_ms / 1e3));
      },
      [] { return kAllowedPercent; });
  run.finish(std::move(result));
}

}  // namespace

void run_idle_cases(Run& run) {
  if (run.begin("idle")) {
    idle(run);
  }
}

}  // namespace baton::bench
