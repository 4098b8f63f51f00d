#include "tools/bench/result.h"

namespace baton::bench {
namespace {

Json to_json(const CaseResult& result) {
  if (!result.not_measured.empty()) {
    return {{"case", result.name},
            {"target", result.target},
            {"not_measured", result.not_measured},
            {"settings", result.settings}};
  }
  return {{"case", result.name},
          {"baton", result.baton},
          {"reference", result.reference},
          {"reference_name", result.reference_name},
          {"ratio", result.ratio.value},
          {"ratio_low", result.ratio.low},
          {"ratio_high", result.ratio.high},
          {"unit", result.unit},
          {"target", result.target},
          {"reached", result.reached()},
          {"condition", result.condition},
          {"settings", result.settings},
          {"cpu_seconds", result.cpu_seconds},
          {"samples", {{"baton", result.baton_samples}, {"reference", result.reference_samples}}}};
}

}  // namespace

std::string to_json_text(const Report& report) {
  Json results = Json::array();
  for (const CaseResult& result : report.results) {
    results.push_back(to_json(result));
  }
  const Json all = {
      {"machine", report.machine}, {"roofline", report.roofline}, {"results", results}};
  return all.dump(2) + "\n";
}

}  // namespace baton::bench
