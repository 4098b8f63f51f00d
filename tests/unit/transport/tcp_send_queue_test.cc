#include "src/transport/tcp/send_queue.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace baton::transport::tcp {
namespace {

std::vector<std::byte> bytes_of(std::span<const iovec> pieces) {
  std::vector<std::byte> all;
  for (const iovec& piece : pieces) {
    const auto* data = static_cast<const std::byte*>(piece.iov_base);
    all.insert(all.end(), data, data + piece.iov_len);
  }
  return all;
}

class SendQueueTest : public ::testing::Test {
 protected:
  SendQueueTest() {
    for (std::size_t i = 0; i < local_.size(); ++i) {
      local_[i] = static_cast<std::byte>(i * 31);
    }
  }

  void push(const std::vector<std::size_t>& lengths, Status verdict = absl::OkStatus()) {
    std::vector<WriteOp> ops;
    std::uint32_t page = 0;
    for (const std::size_t length : lengths) {
      ops.push_back({.local = std::span(local_).first(length), .page = page++, .generation = 7});
    }
    queue_.push(std::move(ops), std::move(verdict), [](const Status&) {});
  }

  std::vector<std::byte> expected_batch(const std::vector<std::size_t>& lengths,
                                        std::uint64_t sequence) {
    std::vector<std::byte> all;
    std::uint32_t page = 0;
    const auto append = [&](std::span<const std::byte> bytes) {
      all.insert(all.end(), bytes.begin(), bytes.end());
    };
    for (const std::size_t length : lengths) {
      append(encode(WriteHeader{.page = page++, .generation = 7, .length_bytes = length}));
      append(std::span(local_).first(length));
    }
    append(encode(EndOfBatch{sequence}));
    return all;
  }

  std::vector<std::byte> local_ = std::vector<std::byte>(5000);
  SendQueue queue_;
};

TEST_F(SendQueueTest, TheStreamIsTheSameHoweverItIsCut) {
  const std::vector<std::size_t> first{1, 5000, 33, 32, 31};
  const std::vector<std::size_t> second(100, 3);
  std::vector<std::byte> expected = expected_batch(first, 1);
  const std::vector<std::byte> rest = expected_batch(second, 2);
  expected.insert(expected.end(), rest.begin(), rest.end());
  for (unsigned seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    queue_ = SendQueue();
    push(first);
    push({});
    push(second);
    std::vector<std::byte> sent;
    while (queue_.has_unsent()) {
      const auto offered = bytes_of(queue_.gather(1 + random() % 700));
      ASSERT_FALSE(offered.empty());
      const std::size_t taken = 1 + random() % offered.size();
      sent.insert(sent.end(), offered.begin(),
                  offered.begin() + static_cast<std::ptrdiff_t>(taken));
      queue_.advance(taken);
    }
    EXPECT_TRUE(queue_.gather(1000).empty());
    EXPECT_EQ(sent, expected);
  }
}

TEST_F(SendQueueTest, ABatchWithoutFramesWaitsForThoseBeforeIt) {
  push({10});
  push({});
  push({10}, absl::InvalidArgumentError("wrong"));
  EXPECT_TRUE(queue_.take_finished().empty());
  queue_.advance(bytes_of(queue_.gather(1'000'000)).size());
  ASSERT_TRUE(queue_.acknowledge(1).ok());
  const auto finished = queue_.take_finished();
  ASSERT_EQ(finished.size(), 3U);
  EXPECT_TRUE(finished[1].status.ok());
  EXPECT_EQ(finished[2].status.code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(queue_.empty());
}

TEST_F(SendQueueTest, AnAcknowledgementCoversAllBefore) {
  push({10});
  push({20});
  push({30});
  queue_.advance(bytes_of(queue_.gather(1'000'000)).size());
  ASSERT_TRUE(queue_.acknowledge(2).ok());
  EXPECT_EQ(queue_.take_finished().size(), 2U);
  ASSERT_TRUE(queue_.acknowledge(3).ok());
  EXPECT_EQ(queue_.take_finished().size(), 1U);
}

TEST_F(SendQueueTest, AcknowledgementsOfWhatWasNotSentOrWasAcknowledgedAreNonsense) {
  push({10});
  push({10});
  EXPECT_EQ(queue_.acknowledge(1).code(), StatusCode::kDataLoss);
  queue_.advance(32 + 10 + 32);
  EXPECT_EQ(queue_.acknowledge(2).code(), StatusCode::kDataLoss);
  EXPECT_EQ(queue_.acknowledge(0).code(), StatusCode::kDataLoss);
  EXPECT_TRUE(queue_.acknowledge(1).ok());
  EXPECT_EQ(queue_.acknowledge(1).code(), StatusCode::kDataLoss);
}

TEST_F(SendQueueTest, AbandonedBatchesKeepTheirOrderAndTheirOwnVerdicts) {
  push({10});
  push({10}, absl::InvalidArgumentError("wrong"));
  push({10});
  const auto left = queue_.abandon(absl::CancelledError("enough"));
  ASSERT_EQ(left.size(), 3U);
  EXPECT_EQ(left[0].status.code(), StatusCode::kCancelled);
  EXPECT_EQ(left[1].status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(left[2].status.code(), StatusCode::kCancelled);
  EXPECT_TRUE(queue_.empty());
}

}  // namespace
}  // namespace baton::transport::tcp
