// Puts that bring their bytes along, between real senders and receivers: when they do, what they
// count, and what happens to those that can't.
// Promises: P1, P2, P6.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/handoff.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

constexpr std::size_t kEagerBytes = 300;  // Two chunks and a bit.

sender::Config eager_config(std::size_t eager_bytes = kEagerBytes) {
  sender::Config config = SenderNode::default_config();
  config.eager_bytes = eager_bytes;
  return config;
}

class EagerPutTest : public ::testing::Test {
 protected:
  EagerPutTest() {
    world_.network.set_filter([this](const control::Envelope& envelope) -> std::vector<Duration> {
      const auto message = wire::decode(envelope.payload, {});
      if (const auto* asked = std::get_if<wire::AllocRequest>(&*message)) {
        requests_.push_back(*asked);
      }
      commits_ += std::holds_alternative<wire::CommitRequest>(*message) ? 1 : 0;
      return {lose_next_answer(*message) ? std::vector<Duration>{}
                                         : std::vector<Duration>{Duration::zero()}};
    });
  }
  bool lose_next_answer(const wire::Message& message) {
    return std::holds_alternative<wire::AllocResponse>(message) && lose_ > 0 && lose_-- > 0;
  }
  void run_to_end(const std::shared_ptr<PutResult>& put) {
    ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
  }
  void expect_claimed(const std::string& req_id, std::uint64_t count) {
    const auto claim = receiver_.claim(req_id, tiny_keys(0, count));
    ASSERT_TRUE(claim.ok()) << claim.status();
    for (std::uint64_t i = 0; i < count; ++i) {
      EXPECT_TRUE(std::ranges::equal(claim->chunks()[i].bytes(), chunk_bytes(i, 128))) << i;
    }
  }

  World world_;
  ReceiverNode receiver_{world_, "r", 8};
  std::vector<wire::AllocRequest> requests_;
  int commits_ = 0;
  int lose_ = 0;
};

TEST_F(EagerPutTest, ASmallPutIsOneQuestionAndOneAnswer) {
  SenderNode sender(world_, 8, eager_config());
  const auto put = sender.submit(receiver_, sender.spec("req", 0, 2));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  EXPECT_EQ(put->callbacks.size(), 2U);
  EXPECT_EQ(put->stats().chunks_sent, 2U);
  EXPECT_EQ(put->stats().chunks_skipped, 0U);
  EXPECT_EQ(put->stats().bytes_written, 256U);
  EXPECT_EQ(put->stats().bytes_eager, 256U);
  EXPECT_EQ(requests_.size(), 1U);
  EXPECT_EQ(commits_, 0);
  expect_claimed("req", 2);
  EXPECT_EQ(sender.staging().counts().free, 8U);
}

TEST_F(EagerPutTest, ALargerOneIsWritten) {
  SenderNode sender(world_, 8, eager_config());
  const auto put = sender.submit(receiver_, sender.spec("req", 0, 3));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  EXPECT_FALSE(requests_.at(0).eager.has_value());
  EXPECT_EQ(commits_, 1);
  expect_claimed("req", 3);
}

TEST_F(EagerPutTest, OneThatWouldNotFitTheReceiversMessagesIsWritten) {
  receiver::Config small = ReceiverNode::default_config();
  small.limits.max_message_bytes = 4'300;
  const ReceiverNode receiver(world_, "small", 8, small);
  SenderNode sender(world_, 8, eager_config());
  const auto put = sender.submit(receiver, sender.spec("req", 0, 2));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  EXPECT_FALSE(requests_.at(0).eager.has_value());
}

TEST_F(EagerPutTest, AReceiverOfAnEarlierVersionIsWrittenTo) {
  receiver::Config old = ReceiverNode::default_config();
  old.versions = {1, 3};
  const ReceiverNode receiver(world_, "old", 8, old);
  SenderNode sender(world_, 8, eager_config());
  const auto put = sender.submit(receiver, sender.spec("req", 0, 2));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  EXPECT_FALSE(requests_.at(0).eager.has_value());
  EXPECT_EQ(commits_, 1);
}

TEST_F(EagerPutTest, WithoutDigestsNoneAreMade) {
  receiver::Config off = ReceiverNode::default_config();
  off.integrity = Integrity::kOff;
  const ReceiverNode receiver(world_, "off", 8, off);
  SenderNode sender(world_, 8, eager_config());
  const auto put = sender.submit(receiver, sender.spec("req", 0, 2));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  ASSERT_TRUE(requests_.at(0).eager.has_value());
  EXPECT_TRUE(requests_.at(0).eager->digests.empty());
}

TEST_F(EagerPutTest, ALostAnswerIsAskedForAgain) {
  SenderNode sender(world_, 8, eager_config());
  lose_ = 1;
  const auto put = sender.submit(receiver_, sender.spec("req", 0, 2));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  EXPECT_EQ(requests_.size(), 2U);
  EXPECT_EQ(put->stats().chunks_sent, 2U);
  expect_claimed("req", 2);
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(EagerPutTest, TakesAChunkOverByWritingIt) {
  SenderNode a(world_, 4);
  SenderNode b(world_, 4, eager_config());
  auto hold_back = a.spec("a", 0, 1);
  const auto from_a = a.submit(receiver_, std::move(hold_back));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver_.pages().granted == 1; }));
  const auto from_b = b.submit(receiver_, b.spec("b", 0, 2));
  a->cancel("a", absl::CancelledError(std::string("test")));
  run_to_end(from_b);
  ASSERT_TRUE(from_b->status().ok()) << from_b->status();
  expect_claimed("b", 2);
}

TEST_F(EagerPutTest, ARefusedOneFailsWithTheReceiversWords) {
  const ReceiverNode tiny(world_, "tiny", 1);
  SenderNode sender(world_, 8, eager_config());
  const auto put = sender.submit(tiny, sender.spec("req", 0, 2));
  run_to_end(put);
  EXPECT_TRUE(absl::IsResourceExhausted(put->status()));
  EXPECT_THAT(std::string(put->status().message()), HasSubstr("it can never fit"));
  EXPECT_EQ(sender.staging().counts().free, 8U);
}

TEST_F(EagerPutTest, IsPutAgainToARestartedReceiver) {
  SenderNode sender(world_, 8, eager_config());
  auto first = std::make_unique<ReceiverNode>(world_, "again", 8);
  const auto address = first->address();
  auto spec = sender.spec("req", 0, 1, /*is_last=*/false);
  spec.total_chunks = 2;
  lose_ = 1'000;  // No answer ever comes from the first.
  const auto put = sender.submit(address, std::move(spec));
  world_.scheduler.run_for(std::chrono::milliseconds(10));
  first.reset();
  lose_ = 0;
  ReceiverNode second(world_, "again", 8);
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  EXPECT_EQ(put->stats().chunks_sent, 1U);
  EXPECT_TRUE(second->contains(tiny_key(0)));
}

}  // namespace
}  // namespace baton
