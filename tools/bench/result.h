// What a case came to, and what it should.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/bench/json.h"
#include "tools/bench/stats.h"

namespace baton::bench {

struct CaseResult {
  std::string name;
  std::string reference_name;
  std::string unit;
  double target = 0;     ///< that ratio.low must reach
  double baton = 0;      ///< median
  double reference = 0;  ///< median
  Ratio ratio;
  Json settings = Json::object();     ///< transport, integrity, poll mode, sizes…
  Json cpu_seconds = Json::object();  ///< of each process, while it was measured
  std::vector<double> baton_samples;
  std::vector<double> reference_samples;
  std::string condition;  ///< what else must hold, with its figure; empty: nothing
  bool condition_met = true;
  std::string not_measured;  ///< why there are no figures; empty if there are

  bool reached() const { return not_measured.empty() && condition_met && ratio.low >= target; }
};

/// Everything that a run has to say.
struct Report {
  std::vector<CaseResult> results;
  Json machine;
  Json roofline = Json::object();
};

std::string table(const Report& report);
std::string to_json_text(const Report& report);

/// Processor, memory, kernel, and how unsteady the machine was: the spread of one same computation,
/// and what else ran.
Json describe_machine();

}  // namespace baton::bench
