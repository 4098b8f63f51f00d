#include "src/engine/llama_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "tests/unit/engine/tiny_model_file.h"

namespace baton::engine {
namespace {

using ::testing::HasSubstr;

void expect_refused(const std::string& path, const std::string& because) {
  const auto model = LlamaModel::load(path);
  ASSERT_FALSE(model.ok()) << "loaded; expected: " << because;
  EXPECT_EQ(model.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("'" + path + "'"));
  EXPECT_THAT(std::string(model.status().message()), HasSubstr(because));
}

class LlamaModelFile : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_tiny_model(path_).ok());
    bytes_ = read_file(path_);
  }

  const TestDirectory directory_;
  const std::string path_ = directory_.file("model.gguf");
  std::vector<std::byte> bytes_;
};

TEST_F(LlamaModelFile, Missing) {
  expect_refused(directory_.file("none.gguf"), "No such file");
}

TEST_F(LlamaModelFile, NotAFile) {
  std::filesystem::create_directory(directory_.file("directory"));
  expect_refused(directory_.file("directory"), "not a regular file");
  ASSERT_EQ(::mkfifo(directory_.file("fifo").c_str(), 0600), 0);
  expect_refused(directory_.file("fifo"), "not a regular file");
}

TEST_F(LlamaModelFile, NotAModel) {
  write_file(path_, {});
  expect_refused(path_, "not a GGUF file");
  write_file(path_, std::as_bytes(std::span("#!/bin/sh\n")));
  expect_refused(path_, "not a GGUF file");
}

TEST_F(LlamaModelFile, Truncated) {
  for (const std::size_t size : {4UL, 24UL, 4'000UL, bytes_.size() / 2, bytes_.size() - 1}) {
    SCOPED_TRACE(size);
    write_file(path_, std::span(bytes_).first(size));
    expect_refused(path_, "truncated");
  }
}

TEST_F(LlamaModelFile, AnotherArchitecture) {
  const std::string_view name = "llama";
  const auto text = std::as_bytes(std::span(name));
  const auto at = std::search(bytes_.begin(), bytes_.end(), text.begin(), text.end());
  ASSERT_NE(at, bytes_.end());  // the value of general.architecture comes first
  *at = std::byte{'x'};
  write_file(path_, bytes_);
  expect_refused(path_, "architecture is 'xlama'; only 'llama' is supported");
}

TEST_F(LlamaModelFile, FingerprintNamesTheBytes) {
  const auto first = LlamaModel::load(path_);
  const auto again = LlamaModel::load(path_);
  bytes_.back() ^= std::byte{1};
  const std::string other_path = directory_.file("other.gguf");
  write_file(other_path, bytes_);
  const auto other = LlamaModel::load(other_path);
  ASSERT_TRUE(first.ok() && again.ok() && other.ok());
  EXPECT_EQ((*first)->fingerprint().size(), 16U);
  EXPECT_EQ((*first)->fingerprint(), (*again)->fingerprint());
  EXPECT_NE((*first)->fingerprint(), (*other)->fingerprint());
}

}  // namespace
}  // namespace baton::engine
