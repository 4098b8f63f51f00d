#include "src/transport/tcp/read_queue.h"

#include <gtest/gtest.h>

#include <vector>

namespace baton::transport::tcp {
namespace {

class ReadQueueTest : public ::testing::Test {
 protected:
  ReadOp op(std::size_t offset_bytes, std::size_t length_bytes) {
    return {.local = std::span(local_).subspan(offset_bytes, length_bytes),
            .page = 3,
            .generation = 7,
            .offset_bytes = offset_bytes};
  }

  /// Takes a whole answer.
  Status answer(std::uint32_t number, std::size_t bytes) {
    Status begun = queue_.begin_answer(ReadData{.number = number, .length_bytes = bytes});
    if (begun.ok()) {
      queue_.advance(bytes);
    }
    return begun;
  }

  std::vector<std::byte> local_ = std::vector<std::byte>(5000);
  ReadQueue queue_;
};

TEST_F(ReadQueueTest, AsksInOrderAndKnowsWhatIsComplete) {
  EXPECT_EQ(queue_.push({op(0, 10), op(10, 20)}), 2U);
  EXPECT_EQ(queue_.push({op(30, 5)}), 3U);
  EXPECT_EQ(queue_.unread_bytes(), 35U);
  for (std::uint32_t number = 1; number <= 3; ++number) {
    const auto request = queue_.next_request();
    ASSERT_TRUE(request.has_value());
    EXPECT_EQ(request->number, number);
    EXPECT_EQ(request->page, 3U);
    EXPECT_EQ(request->generation, 7U);
  }
  EXPECT_FALSE(queue_.next_request().has_value());
  ASSERT_TRUE(answer(1, 10).ok());
  ASSERT_TRUE(queue_.begin_answer(ReadData{.number = 2, .length_bytes = 20}).ok());
  queue_.advance(8);
  EXPECT_EQ(queue_.last_completed(), 1U);
  EXPECT_EQ(queue_.room().data(), local_.data() + 18);
  EXPECT_EQ(queue_.room().size(), 12U);
  EXPECT_EQ(queue_.unread_bytes(), 17U);
  queue_.advance(12);
  EXPECT_EQ(queue_.last_completed(), 2U);
  EXPECT_TRUE(queue_.room().empty());
  ASSERT_TRUE(answer(3, 5).ok());
  EXPECT_TRUE(queue_.empty());
}

TEST_F(ReadQueueTest, AnswersThatDoNotFitAreNonsense) {
  queue_.push({op(0, 10), op(10, 10)});
  EXPECT_EQ(answer(1, 10).code(), StatusCode::kDataLoss) << "not asked for yet";
  ASSERT_TRUE(queue_.next_request().has_value());
  EXPECT_EQ(answer(0, 10).code(), StatusCode::kDataLoss);
  EXPECT_EQ(answer(2, 10).code(), StatusCode::kDataLoss);
  EXPECT_EQ(answer(1, 9).code(), StatusCode::kDataLoss);
  EXPECT_EQ(answer(1, 11).code(), StatusCode::kDataLoss);
  ASSERT_TRUE(answer(1, 10).ok());
  EXPECT_EQ(answer(1, 10).code(), StatusCode::kDataLoss) << "again";
  EXPECT_EQ(answer(2, 10).code(), StatusCode::kDataLoss) << "not asked for yet";
}

TEST_F(ReadQueueTest, OnlySoManyAreAskedForAtATime) {
  queue_.push(std::vector<ReadOp>(2 * kMaxReads, op(0, 1)));
  for (std::size_t i = 0; i < kMaxReads; ++i) {
    ASSERT_TRUE(queue_.next_request().has_value());
  }
  EXPECT_FALSE(queue_.next_request().has_value());
  ASSERT_TRUE(answer(1, 1).ok());
  const auto next = queue_.next_request();
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->number, kMaxReads + 1);
  EXPECT_FALSE(queue_.next_request().has_value());
}

}  // namespace
}  // namespace baton::transport::tcp
