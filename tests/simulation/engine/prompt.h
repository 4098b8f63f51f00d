// What users ask for.
#pragma once

#include <string>
#include <vector>

#include "tests/simulation/world/content.h"
#include "tests/simulation/world/profile.h"
#include "tests/simulation/world/random.h"

namespace baton::simulation {

struct Prompt {
  std::vector<ChunkNumber> chunks;

  std::vector<std::string> keys(std::uint32_t ranks, std::uint32_t rank) const;
};

/// Some chunks of a document that others share, then some of its own, the last perhaps partial.
/// `number` names the request.
Prompt make_prompt(Random& random, const Profile& profile, std::uint64_t number);

}  // namespace baton::simulation
