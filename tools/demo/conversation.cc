#include "tools/demo/conversation.h"

#include <fmt/format.h>

namespace baton::demo {

Status check_order(const PlannedRequest& request, std::uint32_t expected) {
  if (request.index == expected && request.follows < static_cast<std::int64_t>(expected)) {
    return absl::OkStatus();
  }
  return absl::DataLossError(fmt::format("request {} (after {}) came where number {} was due",
                                         request.index, request.follows, expected));
}

std::vector<Token> second_turn(std::vector<Token> prompt, std::span<const Step> answer,
                               std::span<const Token> next) {
  for (const Step& step : answer) {
    prompt.push_back(step.token);
  }
  prompt.insert(prompt.end(), next.begin(), next.end());
  return prompt;
}

}  // namespace baton::demo
