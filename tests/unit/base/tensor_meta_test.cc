// Element types, formats and shapes, against LMCache's names and numbers.
#include "baton/tensor_meta.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace baton {
namespace {

using ::testing::HasSubstr;

TEST(DType, NamesAndSizes) {
  const std::pair<const char*, std::size_t> types[] = {
      {"half", 2},       {"bfloat16", 2},     {"float", 4},    {"double", 8},       {"int8", 1},
      {"uint8", 1},      {"int16", 2},        {"int32", 4},    {"int64", 8},        {"bool", 1},
      {"fp8_e4m3fn", 1}, {"fp8_e4m3fnuz", 1}, {"fp8_e5m2", 1}, {"fp8_e5m2fnuz", 1},
  };
  std::uint8_t value = 0;
  for (const auto& [name, bytes] : types) {
    const StatusOr<DType> dtype = parse_dtype(name);
    ASSERT_TRUE(dtype.ok()) << dtype.status();
    EXPECT_EQ(static_cast<std::uint8_t>(*dtype), value++);
    EXPECT_EQ(to_string(*dtype), name);
    EXPECT_EQ(element_bytes(*dtype), bytes) << name;
  }
}

TEST(DType, OtherNamesAreRefused) {
  for (const char* name : {"", "fp16", "Half", "half ", "torch.float16"}) {
    const StatusOr<DType> dtype = parse_dtype(name);
    EXPECT_EQ(dtype.status().code(), StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(dtype.status().message()), HasSubstr(name));
  }
}

struct FormatFacts {
  const char* name;
  std::size_t token_dim;
};

TEST(MemoryFormat, NumbersNamesAndTokenDimensionsAreLmcaches) {
  const FormatFacts facts[] = {{"UNDEFINED", 0}, {"KV_2LTD", 2}, {"KV_T2D", 1},
                               {"KV_2TD", 0},    {"BINARY", 0},  {"BINARY_BUFFER", 0},
                               {"KV_MLA_FMT", 2}};
  std::int64_t number = 0;
  for (const auto& [name, dim] : facts) {
    const StatusOr<MemoryFormat> format = parse_memory_format(number);
    ASSERT_TRUE(format.ok()) << format.status();
    EXPECT_EQ(static_cast<std::int64_t>(*format), number++);
    EXPECT_EQ(to_string(*format), name);
    EXPECT_EQ(token_dim(*format), dim) << name;
  }
}

TEST(MemoryFormat, OtherNumbersAreRefused) {
  for (const std::int64_t number : {INT64_MIN, std::int64_t{-1}, std::int64_t{7}, std::int64_t{256},
                                    std::int64_t{257}, INT64_MAX}) {
    EXPECT_FALSE(parse_memory_format(number).ok()) << number;
  }
}

TensorMeta kv(std::vector<std::int64_t> shape) {
  return {std::move(shape), DType::kBfloat16, MemoryFormat::kKv2ltd};
}

TEST(TensorMeta, BytesAreTheProduct) {
  EXPECT_EQ(*kv({2, 32, 256, 1024}).bytes(), 2U * 32 * 256 * 1024 * 2);
  EXPECT_EQ(*(TensorMeta{{3}, DType::kDouble, MemoryFormat::kBinary}).bytes(), 24U);
}

TEST(TensorMeta, BytesAtTheEdge) {
  EXPECT_EQ(*kv({1LL << 61U}).bytes(), std::size_t{1} << 62U);
  EXPECT_EQ(*kv({1LL << 30U, 1LL << 31U}).bytes(), std::size_t{1} << 62U);
  EXPECT_FALSE(kv({(1LL << 61U) + 1}).bytes().ok());
  EXPECT_FALSE(kv({1LL << 31U, 1LL << 31U}).bytes().ok());
  EXPECT_FALSE(kv({1LL << 40U, 1LL << 40U, 1LL << 40U, 1LL << 40U}).bytes().ok());
  EXPECT_FALSE(kv({INT64_MAX}).bytes().ok());
}

TEST(TensorMeta, ShapesThatAreNone) {
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{
           {}, {0}, {-1}, {2, 0, 3}, {-2, -2}, {INT64_MIN}, std::vector<std::int64_t>(9, 1)}) {
    EXPECT_EQ(kv(shape).bytes().status().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(kv(std::vector<std::int64_t>(8, 1)).bytes().ok());
}

TEST(TensorMeta, Tokens) {
  EXPECT_EQ(*kv({2, 32, 256, 1024}).tokens(), 256);
  EXPECT_FALSE(kv({2, 32}).tokens().ok());
  EXPECT_EQ(*(TensorMeta{{7, 2, 5}, DType::kHalf, MemoryFormat::kKvT2d}).tokens(), 2);
  EXPECT_FALSE((TensorMeta{{}, DType::kHalf, MemoryFormat::kBinary}).tokens().ok());
}

TEST(TensorMeta, CutToTokens) {
  const TensorMeta full = kv({2, 32, 256, 1024});
  EXPECT_EQ(full.with_tokens(77)->shape, (std::vector<std::int64_t>{2, 32, 77, 1024}));
  EXPECT_EQ(*full.with_tokens(256), full);
  EXPECT_EQ(*full.with_tokens(1)->bytes(), 2U * 32 * 1024 * 2);
  for (const std::int64_t tokens :
       {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, std::int64_t{257}}) {
    EXPECT_FALSE(full.with_tokens(tokens).ok()) << tokens;
  }
  EXPECT_FALSE(kv({2, 32}).with_tokens(1).ok());
}

TEST(TensorMeta, OnlyTwoFormatsMayBePut) {
  EXPECT_TRUE(kv({2, 32, 256, 1024}).validate_for_put().ok());
  EXPECT_TRUE((TensorMeta{{1, 61, 64, 576}, DType::kFp8E4m3fn, MemoryFormat::kKvMla})
                  .validate_for_put()
                  .ok());
  for (const MemoryFormat format :
       {MemoryFormat::kUndefined, MemoryFormat::kKvT2d, MemoryFormat::kKv2td, MemoryFormat::kBinary,
        MemoryFormat::kBinaryBuffer}) {
    EXPECT_FALSE((TensorMeta{{2, 2, 2, 2}, DType::kHalf, format}).validate_for_put().ok())
        << to_string(format);
  }
}

TEST(TensorMeta, PutShapesAreWhatTheirFormatsSay) {
  EXPECT_FALSE(kv({1, 32, 256, 1024}).validate_for_put().ok());
  EXPECT_FALSE(kv({2, 32, 256}).validate_for_put().ok());
  EXPECT_FALSE(kv({2, 32, 256, 16, 64}).validate_for_put().ok());
  EXPECT_FALSE(kv({2, 32, 0, 1024}).validate_for_put().ok());
  EXPECT_FALSE(kv({2, 1LL << 40U, 1LL << 40U, 8}).validate_for_put().ok());
  EXPECT_FALSE(
      (TensorMeta{{2, 61, 64, 576}, DType::kHalf, MemoryFormat::kKvMla}).validate_for_put().ok());
}

}  // namespace
}  // namespace baton
