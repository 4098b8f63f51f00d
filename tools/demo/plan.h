// The requests of a run.
#pragma once

#include <cstdint>
#include <vector>

#include "baton/status.h"
#include "tools/demo/messages.h"
#include "tools/demo/options.h"

namespace baton::demo {

/// What of a model matters to a plan.
struct ModelLimits {
  std::uint32_t max_context_tokens = 0;
  std::vector<Token> beginning;  ///< what every prompt starts with; may be empty
};

struct Plan {
  std::vector<PlannedRequest> requests;      ///< a second turn comes right after its first
  std::vector<std::uint32_t> prompt_tokens;  ///< of each request, second turns in full
  std::uint32_t context_tokens = 0;          ///< fits the longest prompt and its answer
  std::uint32_t largest_chunks = 0;          ///< of one request
  std::uint32_t total_chunks = 0;
};

/// Prompts of 1 to over 2,000 tokens out of `text`; three of each 18 share 1,024 tokens, three are
/// followed by a second turn. Few requests still include one of each kind. Prompts are shortened
/// to the model's context; kFailedPrecondition if that has no room for two chunks and an answer.
StatusOr<Plan> make_plan(const DemoOptions& options, const ModelLimits& model,
                         const std::vector<Token>& text);

}  // namespace baton::demo
