// A batch over several streams: every byte once, and none of them left behind (P1).
#include "src/transport/tcp/spread.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace baton::transport::tcp {
namespace {

std::uint64_t bytes_of(const std::vector<WriteOp>& part) {
  std::uint64_t bytes = 0;
  for (const WriteOp& op : part) {
    bytes += op.local.size();
  }
  return bytes;
}

class SpreadTest : public ::testing::Test {
 protected:
  WriteOp op(std::uint32_t page, std::size_t at, std::size_t bytes) {
    return {.local = std::span(local_).subspan(at, bytes),
            .page = page,
            .generation = page + 100,
            .offset_bytes = 10 * at};
  }
  std::vector<std::byte> local_ = std::vector<std::byte>(100'000);
};

TEST_F(SpreadTest, ASmallBatchStaysOnTheLeastLoadedStream) {
  const Parts<WriteOp> parts = spread({op(1, 0, 100), op(2, 100, 100)}, {50, 7, 50}, 1000);
  EXPECT_TRUE(parts[0].empty() && parts[2].empty());
  ASSERT_EQ(parts[1].size(), 2U);
  EXPECT_EQ(parts[1][1].page, 2U);
}

TEST_F(SpreadTest, ALargeOneIsLevelled) {
  const Parts<WriteOp> parts = spread({op(1, 0, 100'000)}, {0, 0, 0, 0}, 1000);
  for (const auto& part : parts) {
    EXPECT_EQ(bytes_of(part), 25'000U);
  }
}

TEST_F(SpreadTest, ASlowStreamGetsLess) {
  const Parts<WriteOp> parts = spread({op(1, 0, 10'000)}, {0, 6'000}, 1000);
  EXPECT_EQ(bytes_of(parts[0]), 8'000U);
  EXPECT_EQ(bytes_of(parts[1]), 2'000U);
}

TEST_F(SpreadTest, EveryByteGoesOnceToWhereItBelongs) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    std::vector<WriteOp> ops;
    for (std::uint32_t page = 0; page < 1 + random() % 10; ++page) {
      const std::size_t at = random() % 50'000;
      ops.push_back(op(page, at, 1 + random() % 50'000));
    }
    std::vector<std::uint64_t> load(1 + random() % 4);
    for (auto& bytes : load) {
      bytes = random() % 10'000;
    }
    const std::size_t run_bytes = 1 + random() % 9'000;
    std::map<std::pair<std::uint32_t, std::uint64_t>, WriteOp> pieces;
    for (const auto& part : spread(ops, load, run_bytes)) {
      for (const WriteOp& piece : part) {
        EXPECT_FALSE(piece.local.empty());
        EXPECT_LE(piece.local.size(), run_bytes);
        EXPECT_TRUE(pieces.emplace(std::pair(piece.page, piece.offset_bytes), piece).second);
      }
    }
    for (const WriteOp& whole : ops) {
      std::size_t done = 0;
      while (done < whole.local.size()) {
        const auto found = pieces.find({whole.page, whole.offset_bytes + done});
        ASSERT_NE(found, pieces.end()) << "page " << whole.page << ", after " << done;
        EXPECT_EQ(found->second.local.data(), whole.local.data() + done);
        EXPECT_EQ(found->second.generation, whole.generation);
        done += found->second.local.size();
        pieces.erase(found);
      }
      EXPECT_EQ(done, whole.local.size());
    }
    EXPECT_TRUE(pieces.empty());
  }
}

}  // namespace
}  // namespace baton::transport::tcp
