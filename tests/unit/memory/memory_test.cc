// Pages and staging: exact, whole or not at all, first come first served. Promises: P4, P6.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <set>

#include "src/memory/page_allocator.h"
#include "src/memory/registered_buffer.h"
#include "src/memory/staging_pool.h"
#include "tests/support/virtual_scheduler.h"

namespace baton {
namespace {

using ::testing::HasSubstr;

const TensorMeta kChunk{{2, 1, 4, 8}, DType::kHalf, MemoryFormat::kKv2ltd};  // 128 bytes

TEST(RegisteredBuffer, RoundsPagesAndSealsItsFile) {
  const auto buffer = RegisteredBuffer::create(100, 3);
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  EXPECT_EQ((*buffer)->page_bytes(), 128U);
  EXPECT_EQ((*buffer)->size_bytes(), 384U);
  EXPECT_EQ((*buffer)->page(2).data(), (*buffer)->data() + 256);
  const int seals = fcntl((*buffer)->memfd(), F_GET_SEALS);
  EXPECT_EQ(seals & (F_SEAL_SHRINK | F_SEAL_GROW), F_SEAL_SHRINK | F_SEAL_GROW);
  EXPECT_NE(ftruncate((*buffer)->memfd(), 1), 0);
}

TEST(RegisteredBuffer, KnowsWhatLiesInside) {
  const auto buffer = *RegisteredBuffer::create(128, 2);
  EXPECT_TRUE(buffer->contains({buffer->data(), 256}));
  EXPECT_TRUE(buffer->contains({buffer->data() + 256, 0}));
  EXPECT_FALSE(buffer->contains({buffer->data() + 1, 256}));
  EXPECT_FALSE(buffer->contains({buffer->data() - 1, 1}));
  EXPECT_FALSE(buffer->contains({buffer->data(), ~std::size_t{0}}));
}

TEST(RegisteredBuffer, RefusesImpossibleSizes) {
  EXPECT_TRUE(absl::IsInvalidArgument(RegisteredBuffer::create(0, 1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(RegisteredBuffer::create(1, 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(RegisteredBuffer::create(~std::size_t{0}, 2).status()));
  EXPECT_FALSE(RegisteredBuffer::create(std::size_t{1} << 45U, 1U << 10U).ok());
}

TEST(PageAllocator, TakesAllOrNothing) {
  PageAllocator pages(4);
  std::vector<std::uint32_t> three(3);
  ASSERT_TRUE(pages.take(three));
  EXPECT_EQ(std::set<std::uint32_t>(three.begin(), three.end()).size(), 3U);
  std::vector<std::uint32_t> two(2);
  EXPECT_FALSE(pages.take(two));
  EXPECT_EQ(pages.free_count(), 1U);
  pages.give_back(three[1]);
  EXPECT_TRUE(pages.take(two));
  EXPECT_EQ(pages.free_count(), 0U);
}

TEST(PageAllocatorDeath, APageGivenBackTwiceEndsTheProcess) {
  PageAllocator pages(2);
  std::uint32_t page = 0;
  ASSERT_TRUE(pages.take({&page, 1}));
  pages.give_back(page);
  EXPECT_DEATH(pages.give_back(page), "");
  EXPECT_DEATH(pages.give_back(7), "");
}

class StagingPoolTest : public ::testing::Test {
 protected:
  StagingPoolTest()
      : loop_(std::make_shared<LoopRef>(scheduler_)),
        pool_(StagingPool::create(*RegisteredBuffer::create(128, 4), loop_)) {}

  /// Where the reservation arrives.
  struct Slot {
    std::shared_ptr<StagingReservation> reservation;
    StagingPool::WaiterId id = 0;
  };
  std::shared_ptr<Slot> reserve(std::uint32_t pages) {
    auto slot = std::make_shared<Slot>();
    slot->id = *pool_->reserve(
        pages, [slot](auto reservation) { slot->reservation = std::move(reservation); });
    EXPECT_EQ(slot->reservation, nullptr) << "never inline";
    scheduler_.run_ready();
    return slot;
  }

  testing::VirtualScheduler scheduler_;
  std::shared_ptr<LoopRef> loop_;
  std::shared_ptr<StagingPool> pool_;
};

TEST_F(StagingPoolTest, ObjectsGiveTheirPagesBack) {
  auto object = *pool_->allocate(kChunk);
  const MemoryObj copy = object;
  EXPECT_EQ(object.bytes().size(), 128U);
  EXPECT_EQ(pool_->counts().free, 3U);
  object = MemoryObj();
  EXPECT_EQ(pool_->counts().free, 3U) << "the copy holds it";
  {
    const auto three = pool_->batched_allocate(kChunk, 3);
    ASSERT_TRUE(three.ok());
    EXPECT_TRUE(absl::IsResourceExhausted(pool_->allocate(kChunk).status()));
  }
  EXPECT_EQ(pool_->counts().free, 3U);
}

TEST_F(StagingPoolTest, RefusesAChunkLargerThanAPage) {
  const TensorMeta large{{2, 1, 8, 8}, DType::kHalf, MemoryFormat::kKv2ltd};
  const auto refused = pool_->allocate(large);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("256 bytes"));
}

TEST_F(StagingPoolTest, AReservationCanBeTakenOnceAndTheRestGoesBack) {
  auto slot = reserve(3);
  ASSERT_NE(slot->reservation, nullptr);
  EXPECT_EQ(pool_->counts().reserved, 3U);
  EXPECT_TRUE(absl::IsResourceExhausted(pool_->batched_allocate(kChunk, 2).status()));
  {
    const auto taken = slot->reservation->batched_allocate(kChunk, 2);
    ASSERT_TRUE(taken.ok()) << taken.status();
    EXPECT_EQ(pool_->counts().reserved, 1U);
  }
  EXPECT_TRUE(absl::IsResourceExhausted(slot->reservation->batched_allocate(kChunk, 2).status()))
      << "each page counts once, even when it is free again";
  slot->reservation.reset();
  EXPECT_EQ(pool_->counts().reserved, 0U);
  EXPECT_EQ(pool_->counts().free, 4U);
}

TEST_F(StagingPoolTest, ReservationsWaitInOrderAndNothingPassesThem) {
  auto first = reserve(3);
  const auto second = reserve(4);
  const auto third = reserve(1);
  EXPECT_EQ(second->reservation, nullptr);
  EXPECT_EQ(third->reservation, nullptr) << "first come, first served";
  EXPECT_TRUE(absl::IsResourceExhausted(pool_->allocate(kChunk).status()))
      << "nobody starves who waits";
  first->reservation.reset();
  scheduler_.run_ready();
  EXPECT_NE(second->reservation, nullptr);
  EXPECT_EQ(third->reservation, nullptr);
  second->reservation.reset();
  scheduler_.run_ready();
  EXPECT_NE(third->reservation, nullptr);
}

TEST_F(StagingPoolTest, WhoStopsWaitingLetsOthersPass) {
  const auto first = reserve(3);
  const auto second = reserve(4);
  const auto third = reserve(1);
  EXPECT_TRUE(pool_->forget(second->id));
  scheduler_.run_ready();
  EXPECT_NE(third->reservation, nullptr);
  EXPECT_FALSE(pool_->forget(second->id));
  EXPECT_FALSE(pool_->forget(third->id)) << "granted already";
}

TEST_F(StagingPoolTest, MoreThanThePoolIsRefusedWithTheNumbers) {
  const auto refused = pool_->reserve(5, [](auto) { FAIL(); });
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()),
              ::testing::AllOf(HasSubstr("5 staging pages"), HasSubstr("has 4")));
}

TEST_F(StagingPoolTest, AReservationForALoopThatIsGoneGoesBack) {
  auto object = *pool_->allocate(kChunk);
  const auto waiting = reserve(4);
  loop_->detach();
  object = MemoryObj();  // would be granted now, and is dropped instead
  EXPECT_EQ(pool_->counts().reserved, 0U);
  EXPECT_EQ(pool_->counts().free, 4U);
}

}  // namespace
}  // namespace baton
