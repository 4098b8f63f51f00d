#include "tools/demo/outcome.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace baton::demo {
namespace {

std::string complaint_about(const RequestOutcome& request, std::size_t index) {
  if (!request.handoff.has_value()) {
    return fmt::format("request {} has no result", index + 1);
  }
  if (!request.handoff->error.empty()) {
    return fmt::format("request {} failed: {}", index + 1, request.handoff->error);
  }
  const auto& found = request.handoff->steps;
  const auto differs =
      std::mismatch(found.begin(), found.end(), request.reference.begin(), request.reference.end());
  return fmt::format("request {} differs from the run in one process, first at token {}", index + 1,
                     differs.first - found.begin() + 1);
}

}  // namespace

std::uint32_t Outcome::identical_count() const {
  return static_cast<std::uint32_t>(std::count_if(
      requests.begin(), requests.end(), [](const auto& request) { return request.identical(); }));
}

bool Outcome::identical_all() const {
  return !requests.empty() && identical_count() == requests.size();
}

std::uint64_t Outcome::pages_lost() const {
  return end.has_value() ? end->pages_total - end->pages_free_after_evict : 0;
}

std::string Outcome::transport() const {
  if (!end.has_value()) {
    return {};
  }
  const std::set<std::string> used(end->transports.begin(), end->transports.end());
  return fmt::format("{}", fmt::join(used, "+"));
}

std::vector<std::string> complaints(const Outcome& outcome, const DemoOptions& options) {
  std::vector<std::string> result;
  if (!outcome.failure.empty()) {
    result.push_back("the run broke off: " + outcome.failure);
    return result;
  }
  for (std::size_t i = 0; i < outcome.requests.size(); ++i) {
    if (!outcome.requests[i].identical()) {
      result.push_back(complaint_about(outcome.requests[i], i));
    }
  }
  if (outcome.pages_lost() > 0) {
    result.push_back(fmt::format("{} of the decoders' {} pages are lost", outcome.pages_lost(),
                                 outcome.end->pages_total));
  }
  if (options.fault != Fault::kNone && outcome.end->faults == 0) {
    result.emplace_back("the control damaged nothing: no chunk came its way");
  }
  return result;
}

}  // namespace baton::demo
