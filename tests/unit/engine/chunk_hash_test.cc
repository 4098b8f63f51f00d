#include "src/engine/chunk_hash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace baton::engine {
namespace {

std::vector<Token> counting(std::size_t count) {
  std::vector<Token> tokens(count);
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

ChunkNaming naming() {
  return {.model_name = "tiny", .model_fingerprint = "00112233445566ff"};
}

std::vector<std::string> hashes(std::span<const Token> tokens, std::uint32_t chunk_tokens,
                                const ChunkNaming& with = naming()) {
  std::vector<std::string> result;
  for (const CacheEngineKey& key : chunk_keys(tokens, chunk_tokens, with)) {
    result.push_back(key.chunk_hash);
  }
  return result;
}

// Peers of other versions hold chunks under these names. If this test fails, kChunkHashScheme must
// change with it.
TEST(ChunkHash, FixedValues) {
  EXPECT_EQ(kChunkHashScheme, "baton-xxh3-128-v1");
  EXPECT_THAT(
      hashes(counting(150), 64),
      ::testing::ElementsAre("eed73fa0471cf5eab5d2e6caabe9e3bb", "223a3509262f2ae7ca48ff5cd21b8ed6",
                             "62093fea21ef718bafa73db9c47e9c99"));
  // 31 digits: Python's hexadecimal form has no leading zero.
  EXPECT_THAT(hashes(std::vector<Token>{-1, 0x7fffffff}, 64),
              ::testing::ElementsAre("fd3ecf1f7dc96dc78519b3750f9ec95"));
}

TEST(ChunkHash, LastChunkMayBePartial) {
  EXPECT_EQ(hashes(counting(0), 64).size(), 0U);
  EXPECT_EQ(hashes(counting(1), 64).size(), 1U);
  EXPECT_EQ(hashes(counting(64), 64).size(), 1U);
  EXPECT_EQ(hashes(counting(65), 64).size(), 2U);
  EXPECT_EQ(hashes(counting(128), 64).size(), 2U);
}

TEST(ChunkHash, PrefixesShareTheirFullChunks) {
  const auto shorter = hashes(counting(100), 64);
  const auto longer = hashes(counting(200), 64);
  EXPECT_EQ(shorter[0], longer[0]);
  EXPECT_NE(shorter[1], longer[1]);  // 36 tokens are not 64
}

TEST(ChunkHash, OneTokenChangesEveryLaterChunkAndNoEarlierOne) {
  auto tokens = counting(256);
  const auto before = hashes(tokens, 64);
  tokens[100] += 1;
  const auto after = hashes(tokens, 64);
  EXPECT_EQ(before[0], after[0]);
  EXPECT_NE(before[1], after[1]);
  EXPECT_NE(before[2], after[2]);
  EXPECT_NE(before[3], after[3]);
}

TEST(ChunkHash, EqualTokensAtAnotherPlaceHaveAnotherName) {
  const std::vector<Token> zeros(128, 0);
  const auto names = hashes(zeros, 64);
  EXPECT_NE(names[0], names[1]);
}

TEST(ChunkHash, TheModelIsPartOfTheName) {
  ChunkNaming other = naming();
  other.model_fingerprint = "00112233445566fe";
  EXPECT_NE(hashes(counting(64), 64), hashes(counting(64), 64, other));
}

TEST(ChunkHash, KeysCarryTheWorkerAndAreValid) {
  ChunkNaming rank = naming();
  rank.world_size = 4;
  rank.worker_id = 3;
  for (const CacheEngineKey& key : chunk_keys(counting(3000), 64, rank)) {
    EXPECT_EQ(key.model_name, "tiny");
    EXPECT_EQ(key.world_size, 4U);
    EXPECT_EQ(key.worker_id, 3U);
    EXPECT_EQ(key.dtype, DType::kHalf);
    EXPECT_NE(key.chunk_hash.front(), '0');
    const auto parsed = CacheEngineKey::parse(key.to_string());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, key);
  }
}

}  // namespace
}  // namespace baton::engine
