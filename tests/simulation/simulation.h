// One seed, from the first request to the last free page.
#pragma once

#include <cstdint>
#include <optional>

#include "tests/simulation/engine/workload.h"
#include "tests/simulation/model/verdict.h"
#include "tests/simulation/world/coverage.h"
#include "tests/simulation/world/profile.h"

namespace baton::simulation {

struct Options {
  FaultLevel faults = FaultLevel::kModerate;
  bool verbose = false;  ///< the history is printed
};

struct Result {
  std::uint64_t events = 0;
  Workload::Outcomes requests;
  std::optional<Violation> violation;
  std::uint64_t history_digest = 0;
  Coverage coverage;
};

Result simulate(std::uint64_t seed, const Options& options);

}  // namespace baton::simulation
