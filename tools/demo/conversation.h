// How a second turn grows out of the first.
#pragma once

#include <span>
#include <vector>

#include "tools/demo/messages.h"

namespace baton::demo {

/// The first turn's prompt and answer, and what is said next.
inline std::vector<Token> second_turn(std::vector<Token> prompt, std::span<const Step> answer,
                                      std::span<const Token> next) {
  for (const Step& step : answer) {
    prompt.push_back(step.token);
  }
  prompt.insert(prompt.end(), next.begin(), next.end());
  return prompt;
}

}  // namespace baton::demo
