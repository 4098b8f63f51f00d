// YAML that is not meant well: refused quickly, with a line, and without building what it claims.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>

#include "baton/options.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string error_of(const std::string& yaml) {
  const Status status = parse_options(yaml, "bad.yaml").status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), StartsWith("bad.yaml:"));
  EXPECT_LT(status.message().size(), 1000U);
  return std::string(status.message());
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) {
    out += text;
  }
  return out;
}

TEST(HostileYaml, KeysThatAreThereTwice) {
  EXPECT_THAT(error_of("chunk_size: 1\n\nchunk_size: 2\n"),
              HasSubstr("bad.yaml:3: 'chunk_size' is there twice; first in line 1"));
}

TEST(HostileYaml, NotAMap) {
  for (const char* yaml : {"just text", "- a\n- b", "[a, b]", "42", "[]"}) {
    EXPECT_THAT(error_of(yaml), HasSubstr("bad.yaml:1: a configuration is a map")) << yaml;
  }
}

TEST(HostileYaml, NotYaml) {
  for (const char* yaml : {"a: [1", "a: {", "a: \"b", "\t a: 1", "a: b: c", "%BAD", "a: @b", "}"}) {
    error_of(yaml);
  }
  error_of(std::string("a\0b: 1", 6));
  error_of("\xFF\xFE\xFF: 1");
}

TEST(HostileYaml, Maps) {
  EXPECT_THAT(error_of("chunk_size: {a: 1}"), HasSubstr("'chunk_size' is a map"));
  EXPECT_THAT(error_of("{a: 1}: 2"), HasSubstr("a map stands as a name"));
  EXPECT_THAT(error_of("[a]: 2"), HasSubstr("a list stands as a name"));
  EXPECT_THAT(error_of("nixl_backends: [{a: 1}]"), HasSubstr("a map inside"));
  EXPECT_THAT(error_of("nixl_backends: [a, ~]"), HasSubstr("empty element"));
  EXPECT_THAT(error_of("~: 1"), HasSubstr("a name is empty"));
}

TEST(HostileYaml, DeepNesting) {
  for (const char* open : {"[", "{a: ", "{", "- ", "? ", "a:\n ", "!!x "}) {
    error_of(repeated(open, 100'000));
    error_of("chunk_size: " + repeated(open, 100'000));
    error_of("extra_config: " + repeated(open, 100'000));
  }
}

TEST(HostileYaml, NestingOfWhatIsReadOver) {
  const auto nested = [](std::size_t depth) {
    return "extra_config: " + repeated("[", depth) + repeated("]", depth);
  };
  EXPECT_THAT(error_of(nested(32)), HasSubstr("pd_buffer_size"));  // read, and found to be empty
  EXPECT_THAT(error_of(nested(34)), HasSubstr("bad.yaml:1: is nested more than 32 deep"));
  EXPECT_THAT(error_of("extra_config: {a: *b}"), HasSubstr("bad.yaml:1:"));
  EXPECT_THAT(error_of("extra_config: {a: &b 1}"), HasSubstr("anchors are not allowed"));
  EXPECT_THAT(error_of("extra_config: {? {a: 1} : [1, {b: ~}]}\nchunk_size: x"),
              HasSubstr("bad.yaml:2: chunk_size is 'x'"));
  EXPECT_THAT(error_of("extra_config: [1, {a: [2]}, 3]\nchunk_size: y"), HasSubstr("is 'y'"));
}

TEST(HostileYaml, Aliases) {
  EXPECT_THAT(error_of("chunk_size: &a 64"), HasSubstr("bad.yaml:1: anchors are not allowed"));
  EXPECT_THAT(error_of("chunk_size: *a"), HasSubstr("bad.yaml:1:"));
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'z'; ++c) {
    const std::string last = "*" + std::string(1, static_cast<char>(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [" + last + repeated("," + last, 8) + "]\n";
  }
  EXPECT_THAT(error_of(bomb), HasSubstr("anchors are not allowed"));
}

TEST(HostileYaml, Tags) {
  EXPECT_THAT(error_of("chunk_size: !!int 64"), HasSubstr("tag"));
  EXPECT_THAT(error_of("nixl_backends: !!python/object:os.system [ls]"), HasSubstr("tag"));
}

TEST(HostileYaml, MoreThanOneDocument) {
  EXPECT_THAT(error_of("chunk_size: 64\n---\nchunk_size: 64\n"), HasSubstr("one document"));
}

TEST(HostileYaml, TooLong) {
  const std::string full = std::string((1U << 20U) - 1, '#') + "\n";
  EXPECT_THAT(error_of(full), HasSubstr("pd_buffer_size"));  // read, and found to be empty
  EXPECT_THAT(error_of(full + "#"), HasSubstr("has 1048577 bytes; a configuration has at most"));
}

TEST(HostileYaml, TooManyKeys) {
  std::string yaml;
  for (int i = 0; i < 50'000; ++i) {
    yaml += "k" + std::to_string(i) + ": 1\n";
  }
  EXPECT_THAT(error_of(yaml), HasSubstr("bad.yaml:257: more than 256 names"));
}

TEST(HostileYaml, LongListsAndValuesAreCutInErrors) {
  error_of("pd_peer_init_port: [" + repeated("1,", 200'000) + "1]");
  error_of("chunk_size: " + std::string(500'000, '\\'));
  error_of("chunk_size: \"" + repeated("\\n", 200'000) + "\"");
}

}  // namespace
}  // namespace baton
