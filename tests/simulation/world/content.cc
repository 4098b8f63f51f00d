#include "tests/simulation/world/content.h"

#include <fmt/format.h>

#include <charconv>
#include <span>

#include "baton/key.h"
#include "src/base/digest.h"
#include "tests/simulation/world/random.h"

namespace baton::simulation {

wire::LayoutInfo layout_of(std::uint32_t ranks, std::uint32_t rank) {
  wire::LayoutInfo layout;
  layout.model_name = "tiny";
  layout.model_fingerprint = "weights-1";
  layout.hash_scheme = "simulation-v1";
  layout.world_size = ranks;
  layout.worker_id = rank;
  layout.chunk_size = kChunkTokens;
  layout.fmt = MemoryFormat::kKv2ltd;
  layout.shape = {2, 1, kChunkTokens, 8};
  layout.dtype = DType::kHalf;
  return layout;
}

TensorMeta meta_of(std::uint32_t tokens) {
  return {{2, 1, static_cast<std::int64_t>(tokens), 8}, DType::kHalf, MemoryFormat::kKv2ltd};
}

std::size_t page_bytes() {
  return *meta_of(kChunkTokens).bytes();
}

std::string key_of(ChunkNumber chunk, std::uint32_t ranks, std::uint32_t rank) {
  return fmt::format("tiny@{}@{}@{:x}@half", ranks, rank, chunk.raw());
}

const std::vector<std::byte>& Content::of(std::string_view key) {
  if (const auto found = known_.find(key); found != known_.end()) {
    return found->second;
  }
  const std::string hash = CacheEngineKey::parse(key)->chunk_hash;
  std::uint64_t raw = 0;
  std::from_chars(hash.data(), hash.data() + hash.size(), raw, 16);
  std::vector<std::byte> bytes(*meta_of(ChunkNumber::from_raw(raw).tokens()).bytes());
  Random random(digest_of(std::as_bytes(std::span(key))));
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(random.next());
  }
  return known_.emplace(key, std::move(bytes)).first->second;
}

}  // namespace baton::simulation
