#include "tests/fault/soak/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/support/backend_pair.h"

namespace baton::soak {
namespace {

constexpr std::uint32_t kPrefixes = 3;  // that requests of one round share
constexpr std::uint32_t kMaxPrefixChunks = 6;
constexpr std::uint32_t kMaxOwnChunks = 10;
constexpr std::uint32_t kMaxPuts = 4;
constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15U;

}  // namespace

std::uint64_t Random::next() {
  std::uint64_t mixed = (state_ += kOdd);
  mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
  return mixed ^ (mixed >> 31U);
}

Random round_random(std::uint64_t seed, std::uint64_t round) {
  return Random(Random(seed).next() ^ Random(~round).next());
}

RequestPlan plan_request(std::uint64_t seed, std::uint64_t round, std::uint32_t number) {
  Random random(round_random(seed, round).next() + (number + 1) * kOdd);
  RequestPlan plan;
  plan.req_id = fmt::format("{}-{}", round, number);
  plan.prefiller = random.below(kPrefillers);
  plan.decoder = random.below(kDecoders);
  const std::uint64_t of_round = round << 32U;
  const std::uint64_t prefix = of_round + (std::uint64_t{random.below(kPrefixes)} << 8U);
  for (std::uint32_t i = random.below(kMaxPrefixChunks + 1); i > 0; --i) {
    plan.chunks.push_back(prefix + i);
  }
  std::reverse(plan.chunks.begin(), plan.chunks.end());
  const std::uint64_t own = of_round + (std::uint64_t{number + 1} << 16U);
  for (std::uint32_t i = 1 + random.below(kMaxOwnChunks); i > 0; --i) {
    plan.chunks.push_back(own + i);
  }
  plan.puts = 1 + random.below(std::min<std::uint32_t>(
                      kMaxPuts, static_cast<std::uint32_t>(plan.chunks.size())));
  plan.opened = !random.one_in(3);
  plan.named = random.one_in(2);
  plan.cancelled = random.one_in(8);
  return plan;
}

CacheEngineKey chunk_key(std::uint64_t chunk, std::uint32_t ranks, std::uint32_t rank) {
  CacheEngineKey key = testing::small_key(chunk);
  key.world_size = ranks;
  key.worker_id = rank;
  return key;
}

std::vector<CacheEngineKey> chunk_keys(const RequestPlan& plan, std::uint32_t ranks,
                                       std::uint32_t rank) {
  std::vector<CacheEngineKey> keys;
  keys.reserve(plan.chunks.size());
  for (const std::uint64_t chunk : plan.chunks) {
    keys.push_back(chunk_key(chunk, ranks, rank));
  }
  return keys;
}

std::uint64_t byte_seed(std::uint64_t chunk, std::uint32_t rank) {
  return chunk * 16 + rank;
}

}  // namespace baton::soak
