#include "src/engine/generate.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/digest.h"

namespace baton::engine {
namespace {

Step step_from(std::span<const float> logits) {
  return Step{.token = greedy_token(logits), .logits_digest = digest_of(std::as_bytes(logits))};
}

}  // namespace

StatusOr<Step> prefill(LlamaSession& session, std::span<const Token> prompt, ChunkDone chunk_done) {
  if (prompt.size() <= session.position()) {
    return absl::InvalidArgumentError(
        fmt::format("nothing to prefill: a prompt of {} tokens, and {} are there already",
                    prompt.size(), session.position()));
  }
  if (Status status = session.check_fits(prompt.size()); !status.ok()) {
    return status;
  }
  Step step;
  while (session.position() < prompt.size()) {
    const std::uint32_t first = session.position();
    const std::size_t count = std::min<std::size_t>(session.chunk_tokens(), prompt.size() - first);
    const auto logits = session.prefill_chunk(prompt.subspan(first, count));
    if (!logits.ok()) {
      return logits.status();
    }
    step = step_from(*logits);  // before chunk_done, which ends the logits' life
    if (Status status = chunk_done(first, session.position()); !status.ok()) {
      return status;
    }
  }
  return step;
}

StatusOr<std::vector<Step>> decode_greedily(LlamaSession& session, Token first,
                                            std::uint32_t count) {
  if (Status status = session.check_fits(std::size_t{session.position()} + count); !status.ok()) {
    return status;
  }
  std::vector<Step> steps;
  steps.reserve(count);
  for (Token token = first; steps.size() < count; token = steps.back().token) {
    const auto logits = session.decode(token);
    if (!logits.ok()) {
      return logits.status();
    }
    steps.push_back(step_from(*logits));
  }
  return steps;
}

StatusOr<std::vector<Step>> generate(LlamaSession& session, std::span<const Token> prompt,
                                     std::uint32_t count) {
  if (count == 0) {
    return absl::InvalidArgumentError("0 tokens to generate; at least 1");
  }
  // The last token is chosen, never decoded: it takes no cell.
  if (Status status = session.check_fits(prompt.size() + count - 1); !status.ok()) {
    return status;
  }
  session.clear();
  const auto first = prefill(session, prompt, [](auto, auto) { return absl::OkStatus(); });
  if (!first.ok()) {
    return first.status();
  }
  auto steps = decode_greedily(session, first->token, count - 1);
  if (steps.ok()) {
    steps->insert(steps->begin(), *first);
  }
  return steps;
}

std::uint64_t digest_of_steps(std::span<const Step> steps) {
  DigestStream digest;
  for (const Step& step : steps) {
    digest.update(std::as_bytes(std::span<const std::uint64_t, 1>(&step.logits_digest, 1)));
  }
  return digest.value();
}

}  // namespace baton::engine
