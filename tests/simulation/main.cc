// baton-sim and baton-sim-plants.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>

#include "src/base/log.h"
#include "tests/simulation/command_line.h"
#include "tests/simulation/plants/planted.h"
#include "tests/simulation/simulation.h"

namespace baton::simulation {
namespace {

/// For the handler below: an assertion of the logic, or worse, must name its seed, too.
volatile std::uint64_t current_seed = 0;

void on_death(int signal) {
  char digits[32];
  char* at = digits + sizeof digits;
  *--at = '\n';
  std::uint64_t left = current_seed;
  do {
    *--at = static_cast<char>('0' + left % 10);
    left /= 10;
  } while (left > 0);
  constexpr char kText[] = "baton-sim: died in seed ";
  static_cast<void>(write(STDERR_FILENO, kText, sizeof kText - 1));
  static_cast<void>(
      write(STDERR_FILENO, at, static_cast<std::size_t>(digits + sizeof digits - at)));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

struct Totals {
  std::uint64_t seeds = 0;
  std::uint64_t events = 0;
  Workload::Outcomes requests;
  std::uint64_t violations = 0;
  Coverage coverage;

  void add(const Result& result) {
    ++seeds;
    events += result.events;
    requests.completed += result.requests.completed;
    requests.failed += result.requests.failed;
    requests.cancelled += result.requests.cancelled;
    violations += result.violation.has_value() ? 1 : 0;
    coverage.add(result.coverage);
  }
};

/// True if nothing is missing.
void print_stats(const Coverage& coverage) {
  std::size_t holes = 0;
  for (std::size_t i = 0; i < kPointCount; ++i) {
    const bool hole = coverage.count(i) == 0;
    fmt::print("{:>12}  {}{}\n", coverage.count(i), kPointNames[i], hole ? "  HOLE" : "");
    holes += hole ? 1 : 0;
  }
  fmt::print("holes={}\n", holes);
}

int run(const Command& command) {
  if (command.list_plants) {
    for (const Plant& plant : all_plants()) {
      fmt::print("{:<34} {}  {}\n", plant.name, plant.promise, plant.what);
    }
    return 0;
  }
  plant(command.plant);
  Totals totals;
  for (std::uint64_t seed = command.first; seed <= command.last; ++seed) {
    current_seed = seed;
    const Result result = simulate(seed, command.options);
    totals.add(result);
    if (!result.violation.has_value()) {
      continue;
    }
    const int promise = static_cast<int>(result.violation->promise);
    if (!command.plant.empty()) {
      fmt::print("found seed={} promise=P{}\n", seed, promise);
      return 1;
    }
    fmt::print("seed={} promise=P{} {}\n", seed, promise, result.violation->what);
    std::fflush(stdout);  // What follows may take long, or die.
  }
  if (command.stats) {
    print_stats(totals.coverage);
  }
  fmt::print("seeds={} events={} completed={} failed={} cancelled={} violations={}\n", totals.seeds,
             totals.events, totals.requests.completed, totals.requests.failed,
             totals.requests.cancelled, totals.violations);
  return totals.violations > 0 ? 1 : 0;
}

}  // namespace
}  // namespace baton::simulation

int main(int argc, char** argv) {
  using namespace baton::simulation;
  try {
    std::signal(SIGABRT, on_death);
    std::signal(SIGSEGV, on_death);
    const auto asked = parse_command_line(argc, argv);
    if (const auto* exit_now = std::get_if<ExitNow>(&asked)) {
      return exit_now->status;
    }
    if (std::getenv("BATON_LOG") == nullptr) {
      baton::log::set_level(baton::log::Level::kOff);  // What it warns of is what is wanted here.
    }
    return run(std::get<Command>(asked));
  } catch (const std::exception& error) {
    fmt::print(stderr, "baton-sim: {}\n", error.what());
    return kUsageError;
  }
}
