#include "src/engine/kv_blob.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <numeric>
#include <string>

namespace baton::engine {
namespace {

using ::testing::HasSubstr;

constexpr KvShape kShape{.layers = 3, .row_bytes = 8};
constexpr std::uint32_t kTokens = 5;
constexpr std::int32_t kFirst = 64;

// Offsets in a blob of one stream, as the header describes it.
constexpr std::size_t kStreamsAt = 8;
constexpr std::size_t kCellCountAt = 12;
constexpr std::size_t kCellsAt = 16;
constexpr std::size_t kCellBytes = 12;
constexpr std::size_t kTransposedAt = kCellsAt + kTokens * kCellBytes;
constexpr std::size_t kLayerCountAt = kTransposedAt + 4;
constexpr std::size_t kLayersAt = kTransposedAt + 8;
constexpr std::size_t kLayerBytes = 12 + kTokens * 8;

std::vector<std::byte> numbered_chunk(const KvShape& shape, std::uint32_t tokens) {
  std::vector<std::byte> chunk(kv_chunk_bytes(shape, tokens));
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    chunk[i] = static_cast<std::byte>(i * 7 + 1);
  }
  return chunk;
}

std::vector<std::byte> good_blob() {
  std::vector<std::byte> blob;
  EXPECT_TRUE(
      kv_chunk_to_blob(kShape, kFirst, kTokens, numbered_chunk(kShape, kTokens), blob).ok());
  return blob;
}

template <typename T>
void poke(std::vector<std::byte>& blob, std::size_t at, T value) {
  ASSERT_LE(at + sizeof(value), blob.size());
  std::memcpy(blob.data() + at, &value, sizeof(value));
}

void expect_refused(const std::vector<std::byte>& blob, const std::string& because) {
  const auto view = parse_kv_blob(blob);
  ASSERT_FALSE(view.ok()) << "accepted; expected: " << because;
  EXPECT_EQ(view.status().code(), StatusCode::kDataLoss);
  EXPECT_THAT(std::string(view.status().message()), HasSubstr(because));
}

TEST(KvBlob, HasTheBytesThatTheHeaderDescribes) {
  std::vector<std::byte> blob;
  const std::vector<std::byte> chunk = {std::byte{0xa1}, std::byte{0xa2}, std::byte{0xb1},
                                        std::byte{0xb2}};
  ASSERT_TRUE(kv_chunk_to_blob({.layers = 1, .row_bytes = 2}, 7, 1, chunk, blob).ok());
  const std::vector<unsigned char> expected = {
      0xd8, 0x3c, 0x14, 0xaf, 0, 0, 0, 0, 1, 0, 0, 0, 1,    0,
      0,    0,                                                      // magic, seq, streams, cells
      7,    0,    0,    0,    1, 0, 0, 0, 0, 0, 0, 0,               // position, one sequence: 0
      0,    0,    0,    0,    1, 0, 0, 0,                           // V not transposed, one layer
      1,    0,    0,    0,    2, 0, 0, 0, 0, 0, 0, 0, 0xa1, 0xa2,   // f16, rows of 2, K
      1,    0,    0,    0,    2, 0, 0, 0, 0, 0, 0, 0, 0xb1, 0xb2};  // f16, rows of 2, V
  ASSERT_EQ(blob.size(), expected.size());
  EXPECT_EQ(std::memcmp(blob.data(), expected.data(), expected.size()), 0);
}

TEST(KvBlob, GoesToAChunkAndBack) {
  for (const KvShape shape : {KvShape{1, 2}, KvShape{4, 256}, KvShape{2, 10}}) {
    for (const std::uint32_t tokens : {1U, 2U, 63U, 64U}) {
      const auto chunk = numbered_chunk(shape, tokens);
      std::vector<std::byte> blob;
      ASSERT_TRUE(kv_chunk_to_blob(shape, 128, tokens, chunk, blob).ok());
      EXPECT_EQ(blob.size(), kv_blob_bytes(shape, tokens));

      const auto view = parse_kv_blob(blob);
      ASSERT_TRUE(view.ok()) << view.status();
      EXPECT_EQ(view->shape, shape);
      EXPECT_EQ(view->tokens, tokens);
      EXPECT_EQ(view->first_position, 128);

      std::vector<std::byte> back(chunk.size());
      ASSERT_TRUE(kv_to_chunk(*view, back).ok());
      std::vector<std::byte> for_another(back.size());
      ASSERT_TRUE(kv_to_chunk(*view, for_another, KvReader::kOther).ok());
      EXPECT_EQ(for_another, back);
      EXPECT_EQ(back, chunk);
    }
  }
}

TEST(KvBlob, SpansAreTheLayersInOrder) {
  const auto blob = good_blob();
  const auto view = parse_kv_blob(blob);
  ASSERT_TRUE(view.ok()) << view.status();
  ASSERT_EQ(view->keys.size(), kShape.layers);
  ASSERT_EQ(view->values.size(), kShape.layers);
  for (std::size_t layer = 0; layer < kShape.layers; ++layer) {
    const std::size_t k_at = kLayersAt + layer * kLayerBytes + 12;
    EXPECT_EQ(view->keys[layer].data(), blob.data() + k_at);
    EXPECT_EQ(view->values[layer].data(), blob.data() + k_at + kShape.layers * kLayerBytes);
    EXPECT_EQ(view->keys[layer].size(), kTokens * kShape.row_bytes);
  }
}

TEST(KvBlob, MetaIsTheChunksShape) {
  const TensorMeta meta = kv_chunk_meta({.layers = 4, .row_bytes = 256}, 64);
  EXPECT_EQ(meta.shape, (std::vector<std::int64_t>{2, 4, 64, 128}));
  EXPECT_TRUE(meta.validate_for_put().ok());
  EXPECT_EQ(*meta.bytes(), kv_chunk_bytes({.layers = 4, .row_bytes = 256}, 64));
}

TEST(KvBlobHostile, TruncatedAtEveryByte) {
  const auto blob = good_blob();
  for (std::size_t size = 0; size < blob.size(); ++size) {
    // A copy of that size, so that AddressSanitizer sees a read beyond it.
    const std::vector<std::byte> cut(blob.begin(),
                                     blob.begin() + static_cast<std::ptrdiff_t>(size));
    SCOPED_TRACE(size);
    expect_refused(cut, "ends ");
  }
}

TEST(KvBlobHostile, TrailingBytes) {
  auto blob = good_blob();
  blob.resize(blob.size() + 64);
  expect_refused(blob, "64 bytes after its end");
}

TEST(KvBlobHostile, OtherHeader) {
  auto blob = good_blob();
  poke(blob, 0, 0xaf143cd9U);
  expect_refused(blob, "magic is 0xaf143cd9, expected 0xaf143cd8");
  blob = good_blob();
  poke(blob, kStreamsAt, 2U);
  expect_refused(blob, "streams is 0x2");
  blob = good_blob();
  poke(blob, kTransposedAt, 1U);
  expect_refused(blob, "transposed V is 0x1");
}

TEST(KvBlobHostile, CellCounts) {
  for (const std::uint32_t count : {0U, kMaxKvTokens + 1, 0x80000000U, 0xffffffffU}) {
    auto blob = good_blob();
    poke(blob, kCellCountAt, count);
    expect_refused(blob, "allowed are 1 to");
  }
  for (const std::uint32_t count : {kTokens + 1, kMaxKvTokens}) {
    auto blob = good_blob();
    poke(blob, kCellCountAt, count);
    EXPECT_EQ(parse_kv_blob(blob).status().code(), StatusCode::kDataLoss);
  }
}

TEST(KvBlobHostile, LayerCounts) {
  for (const std::uint32_t count : {0U, kMaxKvLayers + 1, 0xffffffffU}) {
    auto blob = good_blob();
    poke(blob, kLayerCountAt, count);
    expect_refused(blob, "layers; allowed are 1 to");
  }
  auto blob = good_blob();
  poke(blob, kLayerCountAt, kShape.layers + 1);
  expect_refused(blob, "ends ");
  blob = good_blob();
  poke(blob, kLayerCountAt, kShape.layers - 1);
  expect_refused(blob, "bytes after its end");
}

TEST(KvBlobHostile, RowSizes) {
  for (const std::uint64_t bytes : std::initializer_list<std::uint64_t>{
           0, 7, kMaxKvRowBytes + 2ULL, 1ULL << 32U, std::numeric_limits<std::uint64_t>::max()}) {
    auto blob = good_blob();
    poke(blob, kLayersAt + 4, bytes);
    expect_refused(blob, "allowed are even sizes");
  }
  auto blob = good_blob();
  poke(blob, kLayersAt + 4, std::uint64_t{kMaxKvRowBytes});
  expect_refused(blob, "ends within a layer's rows");
}

TEST(KvBlobHostile, LayersThatDiffer) {
  for (std::size_t layer = 0; layer < 2UL * kShape.layers; ++layer) {
    SCOPED_TRACE(layer);
    const std::size_t at = kLayersAt + layer * kLayerBytes;
    auto blob = good_blob();
    poke(blob, at, std::int32_t{0});
    expect_refused(blob, "row type is 0x0, expected 0x1");
    if (layer > 0) {
      blob = good_blob();
      poke(blob, at + 4, std::uint64_t{6});
      expect_refused(blob, "rows of 6 bytes after rows of 8");
    }
  }
}

TEST(KvBlobHostile, Cells) {
  for (std::size_t cell = 0; cell < kTokens; ++cell) {
    SCOPED_TRACE(cell);
    const std::size_t at = kCellsAt + cell * kCellBytes;
    auto blob = good_blob();
    poke(blob, at + 4, 2U);
    expect_refused(blob, "belongs to 2 sequences");
    blob = good_blob();
    poke(blob, at, std::int32_t{3});
    expect_refused(blob, "is at position");
  }
  for (const std::int32_t first :
       {-1, std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()}) {
    auto blob = good_blob();
    poke(blob, kCellsAt, first);
    expect_refused(blob, "out of range");
  }
}

TEST(KvChunk, RefusesSizesThatDoNotFit) {
  std::vector<std::byte> blob;
  const auto chunk = numbered_chunk(kShape, kTokens);
  EXPECT_EQ(kv_chunk_to_blob(kShape, 0, kTokens + 1, chunk, blob).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(kv_chunk_to_blob(kShape, -1, kTokens, chunk, blob).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(kv_chunk_to_blob({.layers = 0, .row_bytes = 8}, 0, kTokens, {}, blob).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(kv_chunk_to_blob({.layers = 1, .row_bytes = 3}, 0, 1, {}, blob).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(kv_chunk_to_blob(kShape, 0, 0, {}, blob).code(), StatusCode::kInvalidArgument);

  const auto good = good_blob();
  const auto view = parse_kv_blob(good);
  ASSERT_TRUE(view.ok());
  std::vector<std::byte> small(chunk.size() - 1);
  const Status status = kv_to_chunk(*view, small);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("has 240 bytes"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("not 239"));
}

}  // namespace
}  // namespace baton::engine
