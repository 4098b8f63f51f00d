#include "src/engine/tiny_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "src/base/digest.h"
#include "src/engine/generate.h"
#include "src/engine/tiny_vocab.h"
#include "tests/unit/engine/tiny_model_file.h"

namespace baton::engine {
namespace {

TEST(TinyModel, HasTheSameBytesEverywhere) {
  const TestDirectory directory;
  ASSERT_TRUE(write_tiny_model(directory.file("a.gguf")).ok());
  ASSERT_TRUE(write_tiny_model(directory.file("b.gguf")).ok());
  const auto bytes = read_file(directory.file("a.gguf"));
  EXPECT_EQ(bytes, read_file(directory.file("b.gguf")));
  EXPECT_EQ(digest_of(bytes), 18431550348296146899U);
}

TEST(TinyModel, SeedChangesIt) {
  const TestDirectory directory;
  ASSERT_TRUE(write_tiny_model(directory.file("a.gguf"), {.seed = 1}).ok());
  ASSERT_TRUE(write_tiny_model(directory.file("b.gguf"), {.seed = 2}).ok());
  EXPECT_NE(read_file(directory.file("a.gguf")), read_file(directory.file("b.gguf")));
}

TEST(TinyModel, IsThereWholeOrNotAtAll) {
  const TestDirectory directory;
  ASSERT_TRUE(write_tiny_model(directory.file("a.gguf")).ok());
  EXPECT_EQ(directory.file_count(), 1U);  // no partial file is left
  const Status status = write_tiny_model(directory.file("missing/a.gguf"));
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("missing/a.gguf"));
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("No such file"));
  // The name is taken by a directory: the rename fails, and nothing else is left.
  std::filesystem::create_directory(directory.file("taken"));
  EXPECT_FALSE(write_tiny_model(directory.file("taken")).ok());
  EXPECT_EQ(directory.file_count(), 2U);
}

TEST(TinyModel, VocabularyHasDistinctEntries) {
  std::set<std::string> texts;
  for (const TinyVocabEntry& entry : tiny_vocab()) {
    EXPECT_TRUE(texts.insert(entry.text).second) << entry.text;
  }
  EXPECT_EQ(texts.size(), kTinyVocabSize);
}

class TinyModelLoaded : public WithTinyModel {};

TEST_F(TinyModelLoaded, HasTheShapeItPromises) {
  EXPECT_EQ(model->vocab_size(), 512U);
  EXPECT_EQ(model->max_context_tokens(), 8192U);
  EXPECT_EQ(model->kv_shape(), (KvShape{.layers = 4, .row_bytes = 256}));
  EXPECT_EQ(kv_chunk_bytes(model->kv_shape(), 1), 2048U);
}

TEST_F(TinyModelLoaded, TokenizesAnyText) {
  for (const std::string text :
       {"", "a banana", "Hello, world!\n", "na\xc3\xafve \xe2\x82\xac", "\x01\x7f", "  two"}) {
    const auto tokens = model->tokenize(text);
    ASSERT_TRUE(tokens.ok()) << tokens.status();
    ASSERT_FALSE(tokens->empty());
    EXPECT_EQ(tokens->front(), static_cast<Token>(kTinyBeginToken));
    EXPECT_EQ(model->detokenize(*tokens), text);
  }
  EXPECT_EQ(model->tokenize("banana")->size(), 4U);  // <s> ba na na
  EXPECT_EQ(model->detokenize(std::vector<Token>{-1, 512, 1 << 30}), "");
}

TEST_F(TinyModelLoaded, AnswersVary) {
  const auto one = session(64);
  std::set<Token> seen;
  for (const std::size_t length : {20U, 21U, 300U}) {
    const auto steps = generate(*one, prompt(length), 32);
    ASSERT_TRUE(steps.ok()) << steps.status();
    for (const Step& step : *steps) {
      seen.insert(step.token);
    }
  }
  // A model that repeats itself would hide a wrong KV row.
  EXPECT_GT(seen.size(), 40U);
}

}  // namespace
}  // namespace baton::engine
