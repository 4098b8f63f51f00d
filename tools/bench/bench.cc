#include "tools/bench/bench.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tools/bench/failed.h"
#include "tools/bench/run.h"
#include "tools/demo/signal_fd.h"

namespace baton::bench {
namespace {

constexpr int kInterruptedStatus = 130;

struct Group {
  std::string_view name;
  void (*run)(Run&);
};

constexpr Group kGroups[] = {{"put", run_put_cases},
                             {"latency", run_latency_cases},
                             {"control", run_control_cases},
                             {"scale", run_scale_cases},
                             {"idle", run_idle_cases}};

int write_json(const Report& report, const std::string& path) {
  std::ofstream file(path);
  file << to_json_text(report);
  file.close();
  if (!file) {
    fmt::print(stderr, "baton bench: can't write {}\n", path);
    return 1;
  }
  return 0;
}

}  // namespace

int run_bench(const BenchOptions& options) {
  // Twenty minutes later it would be too late.
  if (!options.json.empty() && !std::ofstream(options.json, std::ios::app)) {
    fmt::print(stderr, "baton bench: can't write {}\n", options.json);
    return 1;
  }
  const demo::SignalFd signals;
  ::setenv("BATON_LOG", "error", 0);
  ::setenv("UCX_NET_DEVICES", "lo", 0);
  ::setenv("UCX_LOG_LEVEL", "error", 0);
  Run run(options, signals.get());
  run.report().machine = describe_machine();
  int status = 0;
  try {
    for (const Group& group : kGroups) {
      if (options.group == "all" || options.group == group.name) {
        group.run(run);
      }
    }
    run.end_progress();
  } catch (const Interrupted&) {
    run.end_progress();
    fmt::print(stderr, "baton bench: interrupted\n");
    status = kInterruptedStatus;
  } catch (const std::exception& error) {
    run.end_progress();
    fmt::print(stderr, "baton bench: {}\n", error.what());
    status = 1;
  }
  if (status == 0 && run.report().results.empty()) {
    fmt::print(stderr, "baton bench: {} has none of these cases\n", options.group);
    status = 2;
  }
  // What was measured before is true all the same.
  if (!run.report().results.empty()) {
    fmt::print("{}", table(run.report()));
  }
  if (!options.json.empty() && status == 0) {
    status = write_json(run.report(), options.json);
  }
  return status;
}

}  // namespace baton::bench
