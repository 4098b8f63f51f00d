// The point of it all: a decoder that got the prompt's KV as chunks goes on exactly as the process
// that computed it would have, to the last bit of every logit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "src/engine/generate.h"
#include "tests/unit/engine/tiny_model_file.h"

namespace baton::engine {
namespace {

constexpr std::uint32_t kSteps = 24;

struct Exported {
  Step first;
  std::vector<std::vector<std::byte>> bytes;
  std::vector<std::uint32_t> tokens;

  std::vector<KvChunk> chunks() const {
    std::vector<KvChunk> result;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      result.push_back({.bytes = bytes[i], .tokens = tokens[i]});
    }
    return result;
  }
};

class Handoff : public WithTinyModel {
 protected:
  /// Exports every chunk as soon as it is there, as a prefiller does.
  static Exported export_all(LlamaSession& prefiller, std::span<const Token> prompt) {
    Exported exported;
    const auto first = prefill(prefiller, prompt, [&](std::uint32_t begin, std::uint32_t end) {
      exported.bytes.emplace_back(kv_chunk_bytes(model->kv_shape(), end - begin));
      exported.tokens.push_back(end - begin);
      return prefiller.export_chunk(begin, end, exported.bytes.back());
    });
    EXPECT_TRUE(first.ok()) << first.status();
    exported.first = first.value_or(Step{});
    return exported;
  }

  static std::vector<Step> decode_from(LlamaSession& decoder, const Exported& exported) {
    const Status imported = decoder.import_chunks(exported.chunks());
    EXPECT_TRUE(imported.ok()) << imported;
    auto steps = decode_greedily(decoder, exported.first.token, kSteps - 1);
    EXPECT_TRUE(steps.ok()) << steps.status();
    if (!steps.ok()) {
      return {};
    }
    steps->insert(steps->begin(), exported.first);
    return *std::move(steps);
  }

  static std::vector<Step> reference(std::uint32_t chunk_tokens, std::span<const Token> prompt) {
    const auto steps = generate(*session(chunk_tokens), prompt, kSteps);
    EXPECT_TRUE(steps.ok()) << steps.status();
    return steps.value_or(std::vector<Step>{});
  }
};

class HandoffOf : public Handoff,
                  public testing::WithParamInterface<std::tuple<std::size_t, std::uint32_t>> {};

TEST_P(HandoffOf, IsBitIdenticalToOneProcess) {
  const auto [length, chunk_tokens] = GetParam();
  const auto tokens = prompt(length);
  const auto prefiller = session(chunk_tokens);
  const auto decoder = session(chunk_tokens, /*context_tokens=*/1536);  // need not be equal
  const Exported exported = export_all(*prefiller, tokens);
  EXPECT_EQ(exported.bytes.size(), (length + chunk_tokens - 1) / chunk_tokens);

  const auto expected = reference(chunk_tokens, tokens);
  const auto found = decode_from(*decoder, exported);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(digest_of_steps(found), digest_of_steps(expected));
}

INSTANTIATE_TEST_SUITE_P(Lengths, HandoffOf,
                         testing::Combine(testing::Values(1, 63, 64, 65, 128, 200, 1000),
                                          testing::Values(64, 128)));

TEST_F(Handoff, DecoderGoesOnAsThePrefillerWould) {
  const auto prefiller = session(64);
  const Exported exported = export_all(*prefiller, prompt(200));
  const auto rest = decode_greedily(*prefiller, exported.first.token, kSteps - 1);
  ASSERT_TRUE(rest.ok());
  const auto found = decode_from(*session(64), exported);
  EXPECT_EQ(std::vector<Step>(found.begin() + 1, found.end()), *rest);
}

TEST_F(Handoff, DecoderServesOneRequestAfterTheOther) {
  const auto prefiller = session(64);
  const auto decoder = session(64);
  for (const std::size_t length : {300U, 70U, 500U, 1U}) {
    const auto tokens = prompt(length);
    prefiller->clear();
    EXPECT_EQ(decode_from(*decoder, export_all(*prefiller, tokens)), reference(64, tokens));
  }
}

TEST_F(Handoff, PrefillGoesOnBehindAnImportedPrefix) {
  const auto tokens = prompt(300);
  const Exported whole = export_all(*session(64), tokens);
  auto prefix = whole.chunks();
  prefix.resize(2);

  const auto second = session(64);
  ASSERT_TRUE(second->import_chunks(prefix).ok());
  const Exported rest = export_all(*second, tokens);
  EXPECT_EQ(rest.first, whole.first);
  ASSERT_EQ(rest.bytes.size(), 3U);
  for (std::size_t i = 0; i < rest.bytes.size(); ++i) {
    EXPECT_EQ(rest.bytes[i], whole.bytes[i + 2]) << i;
  }
}

TEST_F(Handoff, ImportedChunkCanBeExportedAgain) {
  const Exported exported = export_all(*session(64), prompt(100));
  const auto other = session(64);
  ASSERT_TRUE(other->import_chunks(exported.chunks()).ok());
  std::vector<std::byte> copy(exported.bytes[1].size());
  ASSERT_TRUE(other->export_chunk(64, 100, copy).ok());
  EXPECT_EQ(copy, exported.bytes[1]);
}

// One prompt may be cut at any chunk size: a chunk named once has one content.
TEST_F(Handoff, ChunkSizeDoesNotChangeTheBytes) {
  const auto tokens = prompt(256);
  const Exported narrow = export_all(*session(64), tokens);
  const Exported wide = export_all(*session(128), tokens);
  const std::size_t row = model->kv_shape().row_bytes;
  const std::size_t layers = 2UL * model->kv_shape().layers;
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const auto narrow_rows = std::span(narrow.bytes[1]).subspan(layer * 64 * row, 64 * row);
    const auto wide_rows = std::span(wide.bytes[0]).subspan((layer * 128 + 64) * row, 64 * row);
    EXPECT_THAT(narrow_rows, testing::ElementsAreArray(wide_rows)) << layer;
  }
}

// Negative controls: the comparison above would notice.

TEST_F(Handoff, OneFlippedByteInOneRowOfKeysShows) {
  Exported exported = export_all(*session(64), prompt(200));
  const auto decoder = session(64);
  const auto untouched = decode_from(*decoder, exported);
  const std::size_t row = model->kv_shape().row_bytes;
  exported.bytes[1][10 * row + 1] ^= std::byte{0x40};  // layer 0, token 74: an exponent bit
  const auto touched = decode_from(*decoder, exported);
  EXPECT_EQ(touched[0], untouched[0]);  // the prefiller's own
  EXPECT_NE(touched[1].logits_digest, untouched[1].logits_digest);
  EXPECT_NE(digest_of_steps(touched), digest_of_steps(untouched));
}

TEST_F(Handoff, MissingRowsChangeTheText) {
  Exported exported = export_all(*session(64), prompt(200));
  const auto decoder = session(64);
  const auto untouched = decode_from(*decoder, exported);
  std::fill(exported.bytes[1].begin(), exported.bytes[1].end(), std::byte{0});
  const auto touched = decode_from(*decoder, exported);
  const auto same_tokens = [](const Step& a, const Step& b) { return a.token == b.token; };
  EXPECT_FALSE(std::equal(touched.begin(), touched.end(), untouched.begin(), same_tokens));
}

// import_chunks() can't know the order: chunk keys do. Documented there.
TEST_F(Handoff, SwappedChunksAreNotNoticedButChangeTheLogits) {
  Exported exported = export_all(*session(64), prompt(200));
  const auto decoder = session(64);
  const auto untouched = decode_from(*decoder, exported);
  std::swap(exported.bytes[0], exported.bytes[1]);
  EXPECT_NE(digest_of_steps(decode_from(*decoder, exported)), digest_of_steps(untouched));
}

}  // namespace
}  // namespace baton::engine
