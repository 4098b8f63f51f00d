#include "src/engine/llama_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/engine/generate.h"
#include "tests/unit/engine/tiny_model_file.h"

namespace baton::engine {
namespace {

using ::testing::HasSubstr;

class LlamaSessionTest : public WithTinyModel {
 protected:
  static std::vector<std::byte> chunk_memory(std::uint32_t tokens) {
    return std::vector<std::byte>(kv_chunk_bytes(model->kv_shape(), tokens));
  }
};

void expect_status(const Status& status, StatusCode code, const std::string& text) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(text));
}

TEST_F(LlamaSessionTest, RefusesOptionsThatCanNotWork) {
  const auto create = [](std::uint32_t context_tokens, std::uint32_t chunk_tokens) {
    return LlamaSession::create(model,
                                {.context_tokens = context_tokens, .chunk_tokens = chunk_tokens})
        .status();
  };
  expect_status(create(8193, 64), StatusCode::kInvalidArgument,
                "a context of 8193 tokens; this model's limit is 8192");
  expect_status(create(512, 63), StatusCode::kInvalidArgument, "chunks of 63 tokens");
  expect_status(create(512, 513), StatusCode::kInvalidArgument, "chunks of 513 tokens");
  expect_status(create(63, 0), StatusCode::kInvalidArgument, "chunks of 0 tokens");
  EXPECT_TRUE(create(64, 64).ok());
  EXPECT_TRUE(create(0, 64).ok());
}

TEST_F(LlamaSessionTest, PromptLongerThanTheContext) {
  const auto one = session(64, 128);
  expect_status(generate(*one, prompt(129), 1).status(), StatusCode::kResourceExhausted,
                "129 tokens never fit a context of 128 tokens");
  expect_status(generate(*one, prompt(120), 10).status(), StatusCode::kResourceExhausted,
                "129 tokens never fit a context of 128 tokens");
  EXPECT_TRUE(generate(*one, prompt(120), 9).ok());
  EXPECT_EQ(one->position(), 128U);
  expect_status(one->decode(0).status(), StatusCode::kResourceExhausted,
                "129 tokens never fit a context of 128 tokens");
  EXPECT_EQ(one->position(), 128U);
}

TEST_F(LlamaSessionTest, PrefillKeepsToTheChunks) {
  const auto one = session(64);
  expect_status(one->prefill_chunk({}).status(), StatusCode::kInvalidArgument, "0 tokens");
  expect_status(one->prefill_chunk(prompt(65)).status(), StatusCode::kInvalidArgument,
                "a chunk of 65 tokens; allowed are 1 to 64");
  ASSERT_TRUE(one->prefill_chunk(prompt(63)).ok());
  expect_status(one->prefill_chunk(prompt(1)).status(), StatusCode::kFailedPrecondition,
                "prefill at position 63");
  one->clear();
  ASSERT_TRUE(one->prefill_chunk(prompt(64)).ok());
  ASSERT_TRUE(one->decode(1).ok());
  expect_status(one->prefill_chunk(prompt(64)).status(), StatusCode::kFailedPrecondition,
                "prefill at position 65");
  for (int i = 0; i < 63; ++i) {
    ASSERT_TRUE(one->decode(1).ok());
  }
  // On a boundary again, but behind decoded tokens.
  expect_status(one->prefill_chunk(prompt(64)).status(), StatusCode::kFailedPrecondition,
                "prefill at position 128 (64 tokens of prompt)");
}

TEST_F(LlamaSessionTest, TokensOutsideTheVocabulary) {
  const auto one = session(64);
  for (const Token token : {-1, 512, std::numeric_limits<Token>::min()}) {
    expect_status(one->prefill_chunk(std::vector<Token>{0, token}).status(),
                  StatusCode::kInvalidArgument, "not in the vocabulary of 512");
  }
  EXPECT_EQ(one->position(), 0U);
  ASSERT_TRUE(one->prefill_chunk(prompt(3)).ok());
  expect_status(one->decode(512).status(), StatusCode::kInvalidArgument, "token 512");
  EXPECT_EQ(one->position(), 3U);
  EXPECT_TRUE(one->decode(511).ok());
}

TEST_F(LlamaSessionTest, DecodeNeedsAPrefix) {
  expect_status(session(64)->decode(0).status(), StatusCode::kFailedPrecondition,
                "prefill or import first");
}

TEST_F(LlamaSessionTest, ExportsOneChunkOfThePromptOnly) {
  const auto one = session(64);
  ASSERT_TRUE(prefill(*one, prompt(100), [](auto, auto) { return absl::OkStatus(); }).ok());
  ASSERT_TRUE(one->decode(5).ok());
  auto full = chunk_memory(64);
  auto tail = chunk_memory(36);
  EXPECT_TRUE(one->export_chunk(0, 64, full).ok());
  EXPECT_TRUE(one->export_chunk(64, 100, tail).ok());
  auto with_decoded = chunk_memory(37);
  expect_status(one->export_chunk(64, 101, with_decoded), StatusCode::kInvalidArgument,
                "tokens 64 to 101 are not one chunk of 64 within the 100 tokens of prompt");
  for (const auto& [first, end] : std::initializer_list<std::pair<std::uint32_t, std::uint32_t>>{
           {0, 63}, {1, 65}, {0, 100}, {64, 64}, {64, 0}, {128, 164}, {0xffffffc0U, 0}}) {
    EXPECT_EQ(one->export_chunk(first, end, full).code(), StatusCode::kInvalidArgument) << first;
  }
  expect_status(one->export_chunk(0, 64, tail), StatusCode::kInvalidArgument, "has 131072 bytes");
}

TEST_F(LlamaSessionTest, FailedImportLeavesNothing) {
  const auto one = session(64, 256);
  const auto full = chunk_memory(64);
  const auto tail = chunk_memory(36);
  const auto check = [&](const std::vector<KvChunk>& chunks, StatusCode code,
                         const std::string& text) {
    one->clear();
    ASSERT_TRUE(one->prefill_chunk(prompt(10)).ok());
    expect_status(one->import_chunks(chunks), code, text);
    EXPECT_EQ(one->position(), 0U);
    EXPECT_EQ(one->decode(0).status().code(), StatusCode::kFailedPrecondition);
  };
  check({}, StatusCode::kInvalidArgument, "no chunks");
  check({{full, 64}, {tail, 37}}, StatusCode::kInvalidArgument, "a chunk of 37 tokens has");
  check({{tail, 36}, {full, 64}}, StatusCode::kInvalidArgument, "chunk 0 of 2 has 36 tokens");
  check({{full, 64}, {full, 0}}, StatusCode::kInvalidArgument, "chunk 1 of 2 has 0 tokens");
  check({{full, 65}}, StatusCode::kInvalidArgument, "chunk 0 of 1 has 65 tokens");
  check({{full, 64}, {full, 64}, {full, 64}, {full, 64}, {tail, 36}},
        StatusCode::kResourceExhausted, "292 tokens never fit a context of 256 tokens");
  EXPECT_TRUE(one->import_chunks(std::vector<KvChunk>{{full, 64}, {tail, 36}}).ok());
  EXPECT_EQ(one->position(), 100U);
}

TEST_F(LlamaSessionTest, ClearedSessionForgetsEverything) {
  const auto used = session(64);
  const auto first = generate(*used, prompt(200), 8);
  ASSERT_TRUE(generate(*used, prompt(300), 8).ok());
  const auto again = generate(*used, prompt(200), 8);
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(*first, *again);
}

TEST_F(LlamaSessionTest, GreedyTakesTheFirstOfEquals) {
  EXPECT_EQ(greedy_token(std::vector<float>{1.0F, 3.0F, 3.0F, -1.0F}), 1);
  EXPECT_EQ(greedy_token(std::vector<float>{0.0F}), 0);
}

TEST_F(LlamaSessionTest, ChunkCallbackErrorEndsThePrefill) {
  const auto one = session(64);
  int calls = 0;
  const auto step = prefill(*one, prompt(300), [&](auto, auto) {
    ++calls;
    return calls == 2 ? absl::UnavailableError("peer is gone") : absl::OkStatus();
  });
  expect_status(step.status(), StatusCode::kUnavailable, "peer is gone");
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace baton::engine
