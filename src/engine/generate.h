// Greedy generation, whole or in its two halves, with digests to compare runs by.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <span>
#include <vector>

#include "baton/status.h"
#include "src/engine/llama_session.h"

namespace baton::engine {

/// One generated token, and the digest (XXH3 over the floats' bytes) of the logits that chose it.
struct Step {
  Token token = 0;
  std::uint64_t logits_digest = 0;

  bool operator==(const Step&) const = default;
};

/// Told after each chunk that tokens first to end - 1 can be exported. An error ends the prefill.
using ChunkDone = absl::FunctionRef<Status(std::uint32_t first, std::uint32_t end)>;

/// Prefills what of the prompt lies behind session.position(), chunk by chunk, and chooses the
/// first token. At least one token of the prompt must be left to prefill.
StatusOr<Step> prefill(LlamaSession& session, std::span<const Token> prompt, ChunkDone chunk_done);

/// Decodes `first` and what follows from it: `count` further steps. End of sequence ends nothing.
StatusOr<std::vector<Step>> decode_greedily(LlamaSession& session, Token first,
                                            std::uint32_t count);

/// The reference: both halves from an empty session in one process; `count` (1 or more) steps.
StatusOr<std::vector<Step>> generate(LlamaSession& session, std::span<const Token> prompt,
                                     std::uint32_t count);

/// One digest for all steps' logits, in order.
std::uint64_t digest_of_steps(std::span<const Step> steps);

}  // namespace baton::engine
