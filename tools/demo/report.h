// The run for people: progress and the table.
#pragma once

#include <string>

#include "tools/demo/messages.h"
#include "tools/demo/outcome.h"

namespace baton::demo {

std::string progress_line(const RequestOutcome& request, std::size_t finished, std::size_t of);
/// The table with its legend and the sums.
std::string table(const Outcome& outcome);
/// What is shown as a verdict; the last lines of the run.
std::string verdict(const Outcome& outcome, const std::vector<std::string>& complaints);

/// The run for programs: the JSON file's text.
std::string to_json_text(const Outcome& outcome);

}  // namespace baton::demo
