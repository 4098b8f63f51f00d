// How a batch is cut into requests.
#include "src/transport/nixl/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton::transport::nixl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Range range(std::uint64_t local, std::uint64_t length) {
  return {.local = local, .remote = local + 1'000'000, .length_bytes = length};
}

Batch batch_of(std::vector<Range> ranges) {
  Batch batch;
  batch.direction = Direction::kRead;
  batch.ranges = std::move(ranges);
  batch.done = [](const Status&) {};
  return batch;
}

TEST(NixlBatch, RangesInOneRunAreMerged) {
  const Range elsewhere = {.local = 30, .remote = 5, .length_bytes = 10};
  const Range device = {.local = 40, .remote = 15, .length_bytes = 10, .remote_device = 1};
  EXPECT_THAT(merge_adjacent({range(0, 10), range(10, 20), elsewhere, device, range(90, 1)}),
              ElementsAre(range(0, 30), elsewhere, device, range(90, 1)));
  EXPECT_THAT(merge_adjacent({range(10, 10), range(0, 10)}),
              ElementsAre(range(10, 10), range(0, 10)));
  EXPECT_THAT(merge_adjacent({}), IsEmpty());
}

TEST(NixlBatch, ASmallOneStaysWhole) {
  Batch batch = batch_of({range(0, 60), range(100, 40)});
  batch.local_pages = {0, 1};
  batch.remote_pages = {7, 8};
  const auto parts = split(std::move(batch), 100);
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_THAT(parts[0].ranges, ElementsAre(range(0, 60), range(100, 40)));
  EXPECT_THAT(parts[0].local_pages, ElementsAre(0, 1));
  EXPECT_TRUE(parts[0].done);
}

TEST(NixlBatch, AnEmptyOneStaysOne) {
  const auto parts = split(batch_of({}), 100);
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_TRUE(parts[0].done);
}

TEST(NixlBatch, WholePagesStayWhole) {
  Batch batch = batch_of({range(0, 40), range(40, 40), range(80, 40)});
  batch.local_pages = {0, 1, 2};
  batch.remote_pages = {9, 5, 7};
  const auto parts = split(std::move(batch), 100);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_THAT(parts[0].ranges, ElementsAre(range(0, 40), range(40, 40)));
  EXPECT_THAT(parts[0].local_pages, ElementsAre(0, 1));
  EXPECT_THAT(parts[0].remote_pages, ElementsAre(9, 5));
  EXPECT_FALSE(parts[0].done) << "only the last answers";
  EXPECT_THAT(parts[1].ranges, ElementsAre(range(80, 40)));
  EXPECT_THAT(parts[1].remote_pages, ElementsAre(7));
  EXPECT_TRUE(parts[1].done);
  EXPECT_EQ(parts[1].direction, Direction::kRead);
}

TEST(NixlBatch, ALongRangeIsCutAndItsPagesForgotten) {
  Batch batch = batch_of({range(0, 250), range(500, 250)});
  batch.local_pages = {0, 2};
  batch.remote_pages = {0, 2};
  const auto parts = split(std::move(batch), 100);
  std::uint64_t bytes = 0;
  for (const Batch& part : parts) {
    EXPECT_LE(bytes_of(part), 100U);
    EXPECT_THAT(part.local_pages, IsEmpty());
    bytes += bytes_of(part);
  }
  EXPECT_EQ(bytes, 500U);
  ASSERT_EQ(parts.size(), 5U);
  EXPECT_THAT(parts[2].ranges, ElementsAre(range(200, 50), range(500, 50)));
  EXPECT_THAT(parts[4].ranges, ElementsAre(range(650, 100)));
  EXPECT_TRUE(parts[4].done);
}

}  // namespace
}  // namespace baton::transport::nixl
