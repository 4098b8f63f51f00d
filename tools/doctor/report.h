// What was found and judged, for people and for programs.
#pragma once

#include <optional>
#include <string>

#include "tools/doctor/judge.h"

namespace baton::doctor {

struct Report {
  HostFacts host;
  std::optional<std::string> config_path;
  std::optional<PeerFacts> peer;
  PeerVerdict verdict;  ///< if there is a peer
  TransportPlan plan;
  Findings findings;  ///< the peer's included
};

std::string text_report(const Report& report);
/// One JSON object, as docs/doctor.md describes it.
std::string json_report(const Report& report);

}  // namespace baton::doctor
