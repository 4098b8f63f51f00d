// A tiny model in a directory of its own, for the tests of one program.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "src/engine/llama_model.h"
#include "src/engine/llama_session.h"
#include "src/engine/tiny_model.h"

namespace baton::engine {

/// Removed with everything in it.
class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = testing::TempDir() + "baton-engine-XXXXXX";
    const char* made = ::mkdtemp(pattern.data());
    EXPECT_NE(made, nullptr) << pattern;
    path_ = pattern;
  }
  ~TestDirectory() { std::filesystem::remove_all(path_); }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::size_t file_count() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

/// Loads the tiny model once for a test suite.
class WithTinyModel : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const TestDirectory directory;
    const std::string path = directory.file("tiny.gguf");
    const Status written = write_tiny_model(path);
    ASSERT_TRUE(written.ok()) << written;
    auto loaded = LlamaModel::load(path);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    model = *std::move(loaded);
  }
  static void TearDownTestSuite() { model.reset(); }

  static std::unique_ptr<LlamaSession> session(std::uint32_t chunk_tokens,
                                               std::uint32_t context_tokens = 2048) {
    auto made = LlamaSession::create(
        model, {.context_tokens = context_tokens, .chunk_tokens = chunk_tokens});
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *std::move(made) : nullptr;
  }

  /// Always the same tokens for the same length.
  static std::vector<Token> prompt(std::size_t length) {
    std::minstd_rand random(static_cast<unsigned>(length));
    std::vector<Token> tokens(length);
    for (Token& token : tokens) {
      token = static_cast<Token>(random() % model->vocab_size());
    }
    return tokens;
  }

  static inline std::shared_ptr<const LlamaModel> model;
};

inline std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline void write_file(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

}  // namespace baton::engine
