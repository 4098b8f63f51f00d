// What is known of a run, and what it comes to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/demo/messages.h"
#include "tools/demo/options.h"
#include "tools/demo/plan.h"

namespace baton::demo {

struct RequestOutcome {
  std::vector<Step> reference;
  std::optional<RequestResult> handoff;

  /// Tokens and logits, bit by bit.
  bool identical() const {
    return handoff.has_value() && handoff->error.empty() && !reference.empty() &&
           handoff->steps == reference;
  }
};

struct Outcome {
  Plan plan;
  std::vector<RequestOutcome> requests;
  std::optional<RunEnd> end;
  std::string failure;  ///< why the run broke off; empty if it didn't

  bool identical_all() const;
  std::uint32_t identical_count() const;
  std::uint64_t pages_lost() const;
  /// "shm", "tcp", both with a plus sign, or empty if nothing was connected.
  std::string transport() const;
};

/// Everything that makes the run a failure, a sentence each; empty for a success.
std::vector<std::string> complaints(const Outcome& outcome, const DemoOptions& options);

}  // namespace baton::demo
