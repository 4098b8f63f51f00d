// How a second turn grows out of the first.
#pragma once

#include <span>
#include <vector>

#include "baton/status.h"
#include "tools/demo/messages.h"

namespace baton::demo {

/// kDataLoss unless the request is the `expected`th and follows an earlier one or none.
Status check_order(const PlannedRequest& request, std::uint32_t expected);

/// The first turn's prompt and answer, and what is said next.
std::vector<Token> second_turn(std::vector<Token> prompt, std::span<const Step> answer,
                               std::span<const Token> next);

}  // namespace baton::demo
