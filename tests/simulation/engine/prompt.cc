#include "tests/simulation/engine/prompt.h"

namespace baton::simulation {
namespace {

/// Of prompts: one that came before, word for word.
constexpr std::uint32_t kRepeatedPercent = 15;
constexpr std::uint32_t kPartialPercent = 40;

}  // namespace

std::vector<std::string> Prompt::keys(std::uint32_t ranks, std::uint32_t rank) const {
  std::vector<std::string> keys;
  keys.reserve(chunks.size());
  for (const ChunkNumber chunk : chunks) {
    keys.push_back(key_of(chunk, ranks, rank));
  }
  return keys;
}

Prompt make_prompt(Random& random, const Profile& profile, std::uint64_t number) {
  if (number > 0 && random.percent(kRepeatedPercent)) {
    number = random.below(number);
  }
  // From here on the number decides, so that it gives the same prompt when it comes again.
  Random own(number * 0xA24BAED4963EE407U + profile.requests);
  const std::uint32_t total = own.between(1U, profile.max_chunks);
  const std::uint32_t shared = own.between(0U, total);
  const std::uint64_t document = own.below(profile.documents);
  Prompt prompt;
  for (std::uint32_t i = 0; i < total; ++i) {
    const bool partial = i + 1 == total && own.percent(kPartialPercent);
    if (i < shared && !partial) {
      prompt.chunks.push_back(ChunkNumber::of_document(document, i));
    } else {
      prompt.chunks.push_back(ChunkNumber::of_request(
          number, i, partial ? own.between(1U, kChunkTokens - 1) : kChunkTokens));
    }
  }
  return prompt;
}

}  // namespace baton::simulation
