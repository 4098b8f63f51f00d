// Configurations from files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "baton/options.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class LoadOptions : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "baton-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& text) const {
    const std::filesystem::path path = folder_ / "options.yaml";
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }

  std::filesystem::path folder_;
};

TEST_F(LoadOptions, ReadsAFile) {
  const auto result = load_options(write("pd_role: sender\npd_buffer_size: 4096\n"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->options.pd_buffer_size, 4096U);
}

TEST_F(LoadOptions, ErrorsNameTheFile) {
  const std::string path = write("pd_role: sender\nnonsense: 1\n");
  EXPECT_THAT(std::string(load_options(path).status().message()), StartsWith(path + ":2: unknown"));
}

TEST_F(LoadOptions, WhatIsNoFileIsRefused) {
  EXPECT_THAT(std::string(load_options((folder_ / "none.yaml").string()).status().message()),
              HasSubstr("none.yaml: No such file"));
  EXPECT_THAT(std::string(load_options(folder_.string()).status().message()),
              HasSubstr("is no regular file"));
  EXPECT_FALSE(load_options("/dev/zero").ok());
}

TEST_F(LoadOptions, LongFilesAreReadNoFurtherThanNeeded) {
  EXPECT_THAT(std::string(load_options(write(std::string(3U << 20U, '#'))).status().message()),
              HasSubstr("has 1048577 bytes"));
}

}  // namespace
}  // namespace baton
