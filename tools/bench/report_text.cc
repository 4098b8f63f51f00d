#include <fmt/format.h>

#include "tools/bench/result.h"

namespace baton::bench {
namespace {

std::string row(const CaseResult& result) {
  if (!result.not_measured.empty()) {
    return fmt::format("{:<24} {}\n", result.name, result.not_measured);
  }
  return fmt::format(
      "{:<24} {:>9.4g} {:<10} {:>9.4g} {:<14} {:>8.3g} {:>8.3g} {:>8.3g} {:>7.3g}  {}{}\n",
      result.name, result.baton, result.unit, result.reference, result.reference_name,
      result.ratio.value, result.ratio.low, result.ratio.high, result.target,
      result.reached() ? "reached" : "missed",
      result.condition.empty() ? "" : "; " + result.condition);
}

}  // namespace

std::string table(const Report& report) {
  std::string text =
      fmt::format("{:<24} {:>9} {:<10} {:>9} {:<14} {:>8} {:>8} {:>8} {:>7}\n", "case", "baton",
                  "unit", "reference", "", "ratio", "low", "high", "target");
  for (const CaseResult& result : report.results) {
    text += row(result);
  }
  text +=
      "\nMedians. Ratio: how many times better Baton is; low and high: its 95 % interval; the "
      "target "
      "is for low.\n";
  for (const auto& [what, figure] : report.roofline.items()) {
    text += fmt::format("{:<24} {:>9.4g} {}\n", what, figure["value"].get<double>(),
                        figure["unit"].get<std::string>());
  }
  return text;
}

}  // namespace baton::bench
