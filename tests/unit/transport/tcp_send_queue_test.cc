#include "src/transport/tcp/send_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
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

  std::uint64_t push(const std::vector<std::size_t>& lengths) {
    std::vector<WriteOp> ops;
    std::uint32_t page = 0;
    for (const std::size_t length : lengths) {
      ops.push_back({.local = std::span(local_).first(length), .page = page++, .generation = 7});
    }
    return queue_.push(std::move(ops));
  }

  std::vector<std::byte> expected_batch(const std::vector<std::size_t>& lengths,
                                        std::uint64_t sequence) {
    std::vector<std::byte> all;
    std::uint32_t page = 0;
    const auto append = [&](std::span<const std::byte> bytes) {
      all.insert(all.end(), bytes.begin(), bytes.end());
    };
    for (const std::size_t length : lengths) {
      append(encode_frame(WriteHeader{.page = page++, .generation = 7, .length_bytes = length}));
      append(std::span(local_).first(length));
    }
    append(encode_frame(EndOfBatch{sequence}));
    return all;
  }

  void send_all() { queue_.advance(bytes_of(queue_.gather(1'000'000)).size()); }

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

TEST_F(SendQueueTest, AnAcknowledgementCoversAllBefore) {
  EXPECT_EQ(push({10}), 1U);
  EXPECT_EQ(push({20, 5}), 2U);
  EXPECT_EQ(push({30}), 3U);
  EXPECT_EQ(queue_.unacknowledged_bytes(), 65U);
  send_all();
  ASSERT_TRUE(queue_.acknowledge(2).ok());
  EXPECT_EQ(queue_.last_acknowledged(), 2U);
  EXPECT_EQ(queue_.unacknowledged_bytes(), 30U);
  EXPECT_FALSE(queue_.empty());
  ASSERT_TRUE(queue_.acknowledge(3).ok());
  EXPECT_EQ(queue_.unacknowledged_bytes(), 0U);
  EXPECT_TRUE(queue_.empty());
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

TEST_F(SendQueueTest, AcknowledgedPartsLeaveTheRestInTheMiddleOfAFrame) {
  push({10});
  push({100});
  queue_.advance(32 + 10 + 32 + 32 + 50);
  ASSERT_TRUE(queue_.acknowledge(1).ok());
  const auto rest = expected_batch({100}, 2);
  EXPECT_EQ(bytes_of(queue_.gather(1000)),
            std::vector<std::byte>(rest.begin() + 32 + 50, rest.end()));
}

TEST_F(SendQueueTest, AnUrgentFrameGoesToTheNextEndOfAFrameAndNeverInside) {
  const std::vector<std::size_t> lengths{100, 200, 300};
  const auto batch = expected_batch(lengths, 1);
  const FrameBytes urgent = encode_frame(ReadHeader{.page = 1, .length_bytes = 5, .number = 1});
  const std::vector<std::size_t> ends{0, 132, 132 + 232, 132 + 232 + 332, batch.size()};
  for (std::size_t pushed_at = 0; pushed_at < batch.size(); ++pushed_at) {
    for (const std::size_t step : {7U, 1000U}) {
      queue_ = SendQueue();
      push(lengths);
      std::vector<std::byte> sent;
      const auto send = [&](std::size_t most) {
        const auto offered = bytes_of(queue_.gather(most));
        sent.insert(sent.end(), offered.begin(), offered.end());
        queue_.advance(offered.size());
      };
      send(pushed_at);
      queue_.push_urgent(urgent);
      while (queue_.has_unsent()) {
        send(step);
      }
      const std::size_t end = *std::lower_bound(ends.begin(), ends.end(), pushed_at);
      auto expected = batch;
      expected.insert(expected.begin() + static_cast<std::ptrdiff_t>(end), urgent.begin(),
                      urgent.end());
      ASSERT_EQ(sent, expected) << "pushed at " << pushed_at << ", in steps of " << step;
    }
  }
}

TEST_F(SendQueueTest, AHeartbeatIsSentOnceAndBeforeWhatComesLater) {
  queue_.push_urgent(encode_frame(Heartbeat{}));
  EXPECT_TRUE(queue_.has_unsent());
  queue_.advance(bytes_of(queue_.gather(20)).size());
  push({10});
  const FrameBytes heartbeat = encode_frame(Heartbeat{});
  std::vector<std::byte> expected(heartbeat.begin() + 20, heartbeat.end());
  const auto batch = expected_batch({10}, 1);
  expected.insert(expected.end(), batch.begin(), batch.end());
  EXPECT_EQ(bytes_of(queue_.gather(1000)), expected);
  send_all();
  EXPECT_FALSE(queue_.has_unsent());
  ASSERT_TRUE(queue_.acknowledge(1).ok()) << "a heartbeat needs none";
  EXPECT_TRUE(queue_.empty());
}

}  // namespace
}  // namespace baton::transport::tcp
