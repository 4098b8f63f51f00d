// Names of chunks: a hash over the whole prefix, equal in every process and on every machine.
//
//     root      = H(scheme name | 0x00 | model fingerprint)
//     chunk[i]  = H(chunk[i-1] or root, 16 bytes big-endian | u32 count | count × i32 token id)
//
// H is XXH3 with 128 bits; counts and token ids are little-endian. So a name stands for the model,
// for every token up to the chunk's end, and for where the chunks before it were cut.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baton/key.h"

namespace baton::engine {

using Token = std::int32_t;

/// Peers whose schemes differ must not share chunks. Change it with anything in the hash above.
inline constexpr std::string_view kChunkHashScheme = "baton-xxh3-128-v1";

/// What the keys of one model on one worker have in common.
struct ChunkNaming {
  std::string model_name;
  std::string model_fingerprint;
  std::uint32_t world_size = 1;
  std::uint32_t worker_id = 0;
};

/// One key for each `chunk_tokens` tokens, and one for what remains. `chunk_tokens` is at least 1.
std::vector<CacheEngineKey> chunk_keys(std::span<const Token> tokens, std::uint32_t chunk_tokens,
                                       const ChunkNaming& naming);

}  // namespace baton::engine
