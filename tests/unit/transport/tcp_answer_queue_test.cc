#include "src/transport/tcp/answer_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace baton::transport::tcp {
namespace {

constexpr std::size_t kPageBytes = 8192;

class AnswerQueueTest : public ::testing::Test {
 protected:
  AnswerQueueTest() {
    for (std::size_t i = 0; i < buffer_->size_bytes(); ++i) {
      buffer_->data()[i] = static_cast<std::byte>(i * 31 + i / 251);
    }
  }

  static ReadHeader read(std::uint32_t number, std::uint32_t length_bytes) {
    return {.page = number % 4,
            .generation = 7,
            .offset_bytes = number,
            .length_bytes = length_bytes,
            .number = number};
  }

  std::vector<std::byte> answer(const ReadHeader& read) const {
    const WordBytes head =
        encode_word(ReadData{.number = read.number, .length_bytes = read.length_bytes});
    std::vector<std::byte> bytes(head.begin(), head.end());
    const auto range = buffer_->page(read.page).subspan(read.offset_bytes, read.length_bytes);
    bytes.insert(bytes.end(), range.begin(), range.end());
    return bytes;
  }

  /// Shows at most so many bytes, and takes at most so many of them.
  void send(std::size_t show_bytes, std::size_t take_bytes) {
    const auto shown = queue_.gather(show_bytes, *buffer_, [this](const ReadHeader& piece) {
      asked_.push_back(piece);
      return allowed_;
    });
    ASSERT_TRUE(shown.ok()) << shown.status();
    std::size_t taken = 0;
    std::size_t all = 0;
    for (const iovec& piece : *shown) {
      const auto* data = static_cast<const std::byte*>(piece.iov_base);
      const std::size_t bytes = std::min(piece.iov_len, take_bytes - taken);
      sent_.insert(sent_.end(), data, data + bytes);
      taken += bytes;
      all += piece.iov_len;
    }
    ASSERT_LE(all, show_bytes);
    ASSERT_GT(all, 0U);
    queue_.advance(taken);
  }

  std::unique_ptr<RegisteredBuffer> buffer_ = *RegisteredBuffer::create(kPageBytes, 4);
  AnswerQueue queue_;
  Status allowed_;
  std::vector<ReadHeader> asked_;
  std::vector<std::byte> sent_;
};

TEST_F(AnswerQueueTest, TheStreamIsTheSameHoweverItIsCut) {
  const std::vector<std::uint32_t> lengths{1, 5000, 16, 17, 300};
  std::vector<std::byte> expected;
  for (std::uint32_t i = 0; i < lengths.size(); ++i) {
    const auto one = answer(read(i + 1, lengths[i]));
    expected.insert(expected.end(), one.begin(), one.end());
  }
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    queue_ = AnswerQueue();
    sent_.clear();
    for (std::uint32_t i = 0; i < lengths.size(); ++i) {
      ASSERT_TRUE(queue_.push(read(i + 1, lengths[i])).ok());
    }
    while (queue_.has_unsent()) {
      send(1 + random() % 700, random() % 700);
    }
    ASSERT_EQ(sent_, expected) << "seed " << seed;
    EXPECT_FALSE(queue_.has_reads());
  }
}

TEST_F(AnswerQueueTest, EveryPieceIsAskedForAndOnlyWhatIsLeft) {
  ASSERT_TRUE(queue_.push(read(1, 1000)).ok());
  send(16 + 400, 16 + 300);
  send(400, 400);
  send(10'000, 10'000);
  ASSERT_EQ(asked_.size(), 4U);
  EXPECT_EQ(asked_[0].length_bytes, 1000U) << "the whole";
  EXPECT_EQ(asked_[1].offset_bytes, 1U);
  EXPECT_EQ(asked_[1].length_bytes, 400U);
  EXPECT_EQ(asked_[2].offset_bytes, 301U) << "what the kernel did not take is asked for again";
  EXPECT_EQ(asked_[2].length_bytes, 400U);
  EXPECT_EQ(asked_[3].offset_bytes, 701U);
  EXPECT_EQ(asked_[3].length_bytes, 300U);
}

TEST_F(AnswerQueueTest, ARefusedPieceIsNotShown) {
  ASSERT_TRUE(queue_.push(read(1, 1000)).ok());
  send(116, 116);
  const auto refused = queue_.gather(100, *buffer_, [](const ReadHeader& /*piece*/) {
    return absl::PermissionDeniedError(std::string("no"));
  });
  EXPECT_EQ(refused.status().code(), StatusCode::kPermissionDenied);
}

TEST_F(AnswerQueueTest, AnAcknowledgementWaitsForTheEndOfAnAnswerAndNoLonger) {
  ASSERT_TRUE(queue_.push(read(1, 100)).ok());
  ASSERT_TRUE(queue_.push(read(2, 100)).ok());
  send(16 + 50, 16 + 50);
  queue_.acknowledge(1);
  queue_.acknowledge(3);
  while (queue_.has_unsent()) {
    send(1000, 1000);
  }
  auto expected = answer(read(1, 100));
  const WordBytes ack = encode_word(Acknowledgement{3});
  expected.insert(expected.end(), ack.begin(), ack.end());
  const auto second = answer(read(2, 100));
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_EQ(sent_, expected);
}

TEST_F(AnswerQueueTest, NumbersAreInSequenceAndOnlySoManyWait) {
  EXPECT_EQ(queue_.push(read(2, 1)).code(), StatusCode::kDataLoss);
  for (std::uint32_t number = 1; number <= kMaxReads; ++number) {
    ASSERT_TRUE(queue_.push(read(number, 1)).ok());
  }
  EXPECT_EQ(queue_.push(read(kMaxReads, 1)).code(), StatusCode::kDataLoss);
  EXPECT_EQ(queue_.push(read(kMaxReads + 1, 1)).code(), StatusCode::kDataLoss);
  send(17, 16);
  EXPECT_EQ(queue_.push(read(kMaxReads + 1, 1)).code(), StatusCode::kDataLoss) << "a byte is left";
  send(1, 1);
  EXPECT_TRUE(queue_.push(read(kMaxReads + 1, 1)).ok());
}

}  // namespace
}  // namespace baton::transport::tcp
