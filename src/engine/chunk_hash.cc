#include "src/engine/chunk_hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

namespace baton::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "token ids are hashed as they lie");

XXH128_hash_t root_hash(std::string_view model_fingerprint) {
  std::string seed(kChunkHashScheme);
  seed.push_back('\0');
  seed.append(model_fingerprint);
  return XXH3_128bits(seed.data(), seed.size());
}

/// `scratch` is only there to be reused.
XXH128_hash_t next_hash(XXH128_hash_t parent, std::span<const Token> tokens,
                        std::vector<unsigned char>& scratch) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, parent);
  const auto count = static_cast<std::uint32_t>(tokens.size());
  scratch.resize(sizeof(canonical) + sizeof(count) + tokens.size_bytes());
  unsigned char* at = scratch.data();
  std::memcpy(at, canonical.digest, sizeof(canonical));
  std::memcpy(at + sizeof(canonical), &count, sizeof(count));
  std::memcpy(at + sizeof(canonical) + sizeof(count), tokens.data(), tokens.size_bytes());
  return XXH3_128bits(scratch.data(), scratch.size());
}

/// Python's f"{int:x}": no leading zeros.
std::string to_hex(XXH128_hash_t hash) {
  return hash.high64 == 0 ? fmt::format("{:x}", hash.low64)
                          : fmt::format("{:x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

std::vector<CacheEngineKey> chunk_keys(std::span<const Token> tokens, std::uint32_t chunk_tokens,
                                       const ChunkNaming& naming) {
  std::vector<CacheEngineKey> keys;
  keys.reserve(tokens.size() / chunk_tokens + 1);
  std::vector<unsigned char> scratch;
  XXH128_hash_t hash = root_hash(naming.model_fingerprint);
  while (!tokens.empty()) {
    const auto chunk = tokens.first(std::min<std::size_t>(chunk_tokens, tokens.size()));
    tokens = tokens.subspan(chunk.size());
    hash = next_hash(hash, chunk, scratch);
    CacheEngineKey key;
    key.model_name = naming.model_name;
    key.world_size = naming.world_size;
    key.worker_id = naming.worker_id;
    key.chunk_hash = to_hex(hash);
    key.dtype = DType::kHalf;
    keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace baton::engine
