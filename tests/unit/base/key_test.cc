// CacheEngineKey: LMCache's spelling, to the byte; everything else refused with a reason.
#include "baton/key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace baton {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(CacheEngineKey, PartsOfAPlainKey) {
  const auto key = CacheEngineKey::parse("meta-llama/Llama-3.1-8B-Instruct@8@3@deadbeef@bfloat16");
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->model_name, "meta-llama/Llama-3.1-8B-Instruct");
  EXPECT_EQ(key->world_size, 8U);
  EXPECT_EQ(key->worker_id, 3U);
  EXPECT_EQ(key->chunk_hash, "deadbeef");
  EXPECT_EQ(key->dtype, DType::kBfloat16);
  EXPECT_EQ(key->layer_id, std::nullopt);
  EXPECT_TRUE(key->tags.empty());
}

TEST(CacheEngineKey, LayerAndTags) {
  const auto key = CacheEngineKey::parse("m@1@0@ff@half@17@tenant%blue@salt%a%b@empty%");
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->layer_id, 17U);
  EXPECT_THAT(key->tags, ElementsAre("tenant%blue", "salt%a%b", "empty%"));
}

TEST(CacheEngineKey, TagsWithoutALayer) {
  const auto key = CacheEngineKey::parse("m@1@0@ff@half@17%blue");
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->layer_id, std::nullopt);
  EXPECT_THAT(key->tags, ElementsAre("17%blue"));
}

TEST(CacheEngineKey, GoodKeysComeBackToTheByte) {
  const std::string good[] = {
      "m@1@0@0@half",
      "m@1@0@-1@half",
      "m@4294967295@4294967295@1234567890abcdef@fp8_e5m2fnuz",
      "m@1@0@" + std::string(64, 'f') + "@half",
      "m@1@0@-" + std::string(64, '9') + "@half",
      "m@1@0@ff@half@0",
      "m@1@0@ff@half@17@a%b",
      "m@1@0@ff@half@a%b@c%d",
      "модель/名前@1@0@ff@uint8",
      std::string(CacheEngineKey::kMaxBytes - 11, 'm') + "@1@0@0@half",
  };
  for (const std::string& text : good) {
    EXPECT_TRUE(CacheEngineKey::validate(text).ok()) << CacheEngineKey::validate(text);
    const auto key = CacheEngineKey::parse(text);
    ASSERT_TRUE(key.ok()) << key.status();
    EXPECT_EQ(key->to_string(), text);
    EXPECT_EQ(*CacheEngineKey::parse(key->to_string()), *key);
  }
}

struct Bad {
  std::string text;
  std::string complaint;
};

TEST(CacheEngineKey, BadKeysAreRefusedAndThePartIsNamed) {
  const Bad bad[] = {
      {"", "fewer than five parts"},
      {"m@1@0@ff", "fewer than five parts"},
      {"@1@0@ff@half", "model name is empty"},
      {"m@0@0@ff@half", "world size '0'"},
      {"m@01@0@ff@half", "world size '01'"},
      {"m@@0@ff@half", "world size ''"},
      {"m@-1@0@ff@half", "world size '-1'"},
      {"m@+1@0@ff@half", "world size '+1'"},
      {"m@1 @0@ff@half", "world size '1 '"},
      {"m@4294967296@0@ff@half", "world size '4294967296'"},
      {"m@1@x@ff@half", "worker id 'x'"},
      {"m@1@-1@ff@half", "worker id '-1'"},
      {"m@1@00@ff@half", "worker id '00'"},
      {"m@1@0@@half", "chunk hash ''"},
      {"m@1@0@-@half", "chunk hash '-'"},
      {"m@1@0@-0@half", "chunk hash '-0'"},
      {"m@1@0@00@half", "chunk hash '00'"},
      {"m@1@0@0ff@half", "chunk hash '0ff'"},
      {"m@1@0@FF@half", "chunk hash 'FF'"},
      {"m@1@0@0x1@half", "chunk hash '0x1'"},
      {"m@1@0@xyz@half", "chunk hash 'xyz'"},
      {"m@1@0@--1@half", "chunk hash '--1'"},
      {"m@1@0@ff@fp17", "dtype 'fp17'"},
      {"m@1@0@ff@", "dtype ''"},
      {"m@1@0@ff@Half", "dtype 'Half'"},
      {"m@1@0@ff@half@", "layer id ''"},
      {"m@1@0@ff@half@x", "layer id 'x'"},
      {"m@1@0@ff@half@07", "layer id '07'"},
      {"m@1@0@ff@half@%v", "'%v' is no tag"},
      {"m@1@0@ff@half@1@2", "'2' is no tag"},
      {"m@1@0@ff@half@a%b@c", "'c' is no tag"},
      {"m@1@0@ff@half@a%b@", "'' is no tag"},
      {"m\xFF@1@0@ff@half", "not UTF-8"},
      {std::string("m@1@0@ff\0@half", 14), "chunk hash 'ff\\x00'"},
      {std::string(CacheEngineKey::kMaxBytes - 10, 'm') + "@1@0@0@half", "longer than 1024 bytes"},
  };
  for (const auto& [text, complaint] : bad) {
    const Status status = CacheEngineKey::validate(text);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(complaint)) << text;
    EXPECT_EQ(CacheEngineKey::parse(text).status(), status) << text;
  }
}

TEST(CacheEngineKey, ErrorsQuoteHostileTextSafely) {
  const Status status = CacheEngineKey::validate(std::string(5000, '\n'));
  EXPECT_LT(status.message().size(), 400U);
  EXPECT_EQ(std::string(status.message()).find('\n'), std::string::npos);
}

}  // namespace
}  // namespace baton
