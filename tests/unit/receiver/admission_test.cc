// Whole-request admission: nobody waits while holding pages, nobody starves, nothing is promised
// twice. Promises: P4, P6. LMCache#1215 is the case that everybody else deadlocks on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "tests/support/handoff.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

constexpr auto kSecond = std::chrono::seconds(1);

class AdmissionTest : public ::testing::Test {
 protected:
  struct Opening {
    std::optional<StatusOr<std::shared_ptr<StagingReservation>>> result;
    bool done() const { return result.has_value(); }
  };

  std::shared_ptr<Opening> open(SenderNode& sender, const ReceiverNode& receiver,
                                const std::string& req_id, std::vector<std::string> keys,
                                Duration timeout = 60 * kSecond) {
    auto opening = std::make_shared<Opening>();
    sender->open({receiver.address(), {req_id, 0}, std::move(keys), 0, timeout},
                 [opening](auto result) { opening->result = std::move(result); });
    return opening;
  }
  void settle() { world_.scheduler.run_for(std::chrono::milliseconds(100)); }

  World world_;
};

TEST_F(AdmissionTest, ThreeRequestsThatExceedThePoolTogetherAllComplete) {
  ReceiverNode receiver(world_, "r", 6);
  SenderNode sender(world_, 12);
  std::vector<std::shared_ptr<Opening>> openings;
  for (std::uint64_t i = 0; i < 3; ++i) {
    openings.push_back(open(sender, receiver, "req" + std::to_string(i), tiny_keys(10 * i, 4)));
  }
  settle();
  EXPECT_TRUE(openings[0]->done());
  EXPECT_FALSE(openings[1]->done()) << "4 + 4 pages do not fit 6";
  EXPECT_FALSE(openings[2]->done());
  EXPECT_EQ(receiver->stats().waiting, 2U);

  for (std::uint64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(world_.scheduler.run_until([&] { return openings[i]->done(); }));
    ASSERT_TRUE(openings[i]->result->ok()) << openings[i]->result->status();
    const std::string req_id = "req" + std::to_string(i);
    // Chunked prefill: two puts.
    for (std::uint64_t half = 0; half < 2; ++half) {
      auto spec = sender.spec(req_id, 0, 0, half == 1);
      for (std::uint64_t k = 0; k < 2; ++k) {
        const std::uint64_t number = 10 * i + 2 * half + k;
        spec.keys.push_back(tiny_key(number));
        auto object = (**openings[i]->result)->batched_allocate(tiny_chunk(), 1);
        ASSERT_TRUE(object.ok()) << object.status();
        spec.objects.push_back(object->front());
      }
      const auto put = sender.submit(receiver, std::move(spec));
      ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
      ASSERT_TRUE(put->status().ok()) << put->status();
    }
    auto claim = receiver.claim(req_id, tiny_keys(10 * i, 4));
    ASSERT_TRUE(claim.ok()) << claim.status();
    openings[i]->result.reset();
  }
  settle();
  receiver->evict_all_retained();
  EXPECT_EQ(receiver.pages().free, 6U);
  EXPECT_EQ(receiver->audit(), "");
}

TEST_F(AdmissionTest, ARequestThatCanNeverFitIsRefusedAtOnceWithTheNumbers) {
  ReceiverNode receiver(world_, "r", 3);
  SenderNode sender(world_, 16);
  const auto opened = sender.open(receiver, "big", tiny_keys(0, 4));
  EXPECT_TRUE(absl::IsResourceExhausted(opened.status())) << opened.status();
  EXPECT_THAT(std::string(opened.status().message()),
              ::testing::AllOf(HasSubstr("4 pages"), HasSubstr("3 in all")));
  EXPECT_LT(world_.scheduler.now().time_since_epoch(), kSecond);
}

TEST_F(AdmissionTest, ARequestLargerThanTheStagingIsRefusedAtOnce) {
  ReceiverNode receiver(world_, "r", 16);
  SenderNode sender(world_, 3);
  const auto opened = sender.open(receiver, "big", tiny_keys(0, 4));
  EXPECT_TRUE(absl::IsResourceExhausted(opened.status())) << opened.status();
  EXPECT_THAT(std::string(opened.status().message()), HasSubstr("3 staging pages"));
}

TEST_F(AdmissionTest, WaitingEndsWithTheNumbers) {
  ReceiverNode receiver(world_, "r", 4);
  SenderNode sender(world_, 16);
  const auto first = open(sender, receiver, "first", tiny_keys(0, 3));
  const auto second = open(sender, receiver, "second", tiny_keys(10, 2), 2 * kSecond);
  ASSERT_TRUE(world_.scheduler.run_until([&] { return second->done(); }));
  EXPECT_TRUE(absl::IsDeadlineExceeded(second->result->status())) << second->result->status();
  EXPECT_THAT(std::string(second->result->status().message()), HasSubstr("of 4 pages 4 are free"));
  EXPECT_EQ(receiver->stats().waiting, 0U);
}

TEST_F(AdmissionTest, AnUnopenedPutIsAdmittedAtOnceOrNotAtAll) {
  ReceiverNode receiver(world_, "r", 4);
  SenderNode sender(world_, 16);
  const auto opening = open(sender, receiver, "opened", tiny_keys(0, 3));
  settle();
  const auto put = sender.submit(receiver, sender.spec("put", 10, 2));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
  EXPECT_TRUE(absl::IsResourceExhausted(put->status())) << put->status();
  EXPECT_LT(put->stats().duration, kSecond) << "it holds staging pages, so it may not wait";
}

TEST_F(AdmissionTest, SmallOnesOvertakeButNotForEver) {
  ReceiverNode receiver(world_, "r", 4);
  SenderNode sender(world_, 64);
  const auto holder = open(sender, receiver, "holder", tiny_keys(0, 2));
  settle();
  const auto big = open(sender, receiver, "big", tiny_keys(10, 4));
  settle();
  std::deque<std::shared_ptr<Opening>> small;
  for (std::uint64_t i = 0; i < receiver::Admission::kMaxOvertaken + 4; ++i) {
    const std::string req_id = "small" + std::to_string(i);
    const auto opening = open(sender, receiver, req_id, tiny_keys(100 + i, 1));
    settle();
    EXPECT_EQ(opening->done(), i < receiver::Admission::kMaxOvertaken) << i;
    if (opening->done()) {
      opening->result.reset();
      sender->release({req_id, 0});
      settle();
    }
  }
  EXPECT_FALSE(big->done());
  sender->release({"holder", 0});
  settle();
  EXPECT_TRUE(big->done());
}

TEST_F(AdmissionTest, HitsCountOnceAndStay) {
  ReceiverNode receiver(world_, "r", 4);
  SenderNode sender(world_, 16);
  const auto put = sender.submit(receiver, sender.spec("warm", 0, 3));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
  ASSERT_TRUE(receiver.claim("warm", tiny_keys(0, 3)).ok());
  settle();
  EXPECT_EQ(receiver.pages().retained, 3U);
  // Three hits and one new chunk: needs exactly the four pages.
  const auto hits = open(sender, receiver, "hits", tiny_keys(0, 4));
  settle();
  ASSERT_TRUE(hits->done());
  EXPECT_EQ(receiver.pages().held, 3U);
  EXPECT_EQ(receiver.pages().reserved, 1U);
  // A chunk of a live request is never evicted, however great the pressure.
  const auto other = open(sender, receiver, "other", tiny_keys(50, 1), kSecond);
  ASSERT_TRUE(world_.scheduler.run_until([&] { return other->done(); }));
  EXPECT_TRUE(absl::IsDeadlineExceeded(other->result->status()));
  EXPECT_TRUE(receiver->contains(tiny_key(0)));
  EXPECT_EQ(receiver->audit(), "");
}

TEST_F(AdmissionTest, AHitOnARetainedChunkTakesAPageThatMayBePromised) {
  ReceiverNode receiver(world_, "r", 4);
  SenderNode sender(world_, 16);
  const auto put = sender.submit(receiver, sender.spec("warm", 0, 3));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
  ASSERT_TRUE(receiver.claim("warm", tiny_keys(0, 3)).ok());
  settle();
  const auto promised = open(sender, receiver, "promised", tiny_keys(50, 2));
  settle();
  ASSERT_TRUE(promised->done());
  // One page is free, two of the three retained ones may have to go: three hits don't fit.
  const auto hits = open(sender, receiver, "hits", tiny_keys(0, 3));
  settle();
  EXPECT_FALSE(hits->done());
  EXPECT_EQ(receiver->audit(), "");
}

TEST_F(AdmissionTest, RetainedChunksAreEvictedOldestFirst) {
  ReceiverNode receiver(world_, "r", 3);
  SenderNode sender(world_, 16);
  for (std::uint64_t i = 0; i < 3; ++i) {
    const std::string req_id = "req" + std::to_string(i);
    const auto put = sender.submit(receiver, sender.spec(req_id, i, 1));
    ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
    ASSERT_TRUE(receiver.claim(req_id, tiny_keys(i, 1)).ok());
    settle();
  }
  // Using chunk 0 again makes chunk 1 the oldest.
  const auto again = sender.submit(receiver, sender.spec("again", 0, 1));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return again->done(); }));
  ASSERT_TRUE(receiver.claim("again", tiny_keys(0, 1)).ok());
  settle();
  const auto more = sender.submit(receiver, sender.spec("more", 9, 1));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return more->done(); }));
  EXPECT_TRUE(receiver->contains(tiny_key(0)));
  EXPECT_FALSE(receiver->contains(tiny_key(1)));
  EXPECT_TRUE(receiver->contains(tiny_key(2)));
}

TEST_F(AdmissionTest, MoreChunksThanOpenedForAreRefused) {
  ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 16);
  const auto opening = open(sender, receiver, "req", tiny_keys(0, 2));
  settle();
  const auto put = sender.submit(receiver, sender.spec("req", 0, 3));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
  EXPECT_TRUE(absl::IsResourceExhausted(put->status())) << put->status();
  settle();
  EXPECT_EQ(receiver.pages().free, 8U);
  EXPECT_EQ(receiver.pages().reserved, 0U);
}

TEST_F(AdmissionTest, AnOpenedRequestThatIsReleasedLeavesNothing) {
  ReceiverNode receiver(world_, "r", 4);
  SenderNode sender(world_, 4);
  const auto opening = open(sender, receiver, "req", tiny_keys(0, 4));
  settle();
  EXPECT_EQ(receiver.pages().reserved, 4U);
  opening->result.reset();
  sender->release({"req", 0});
  settle();
  EXPECT_EQ(receiver.pages().reserved, 0U);
  EXPECT_EQ(receiver->stats().requests, 0U);
  EXPECT_EQ(sender->stats().requests, 0U);
  EXPECT_EQ(sender.staging().counts().reserved, 0U);
}

TEST_F(AdmissionTest, ARequestWhoseLastPutNeverComesIsCancelledInTheEnd) {
  ReceiverNode receiver(world_, "r", 4);
  SenderNode sender(world_, 4);
  auto spec = sender.spec("req", 0, 1, /*is_last=*/false);
  spec.total_chunks = 3;
  const auto put = sender.submit(receiver, std::move(spec));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
  EXPECT_TRUE(put->status().ok()) << put->status();
  EXPECT_EQ(receiver.pages().reserved, 2U);
  world_.scheduler.run_for(std::chrono::minutes(3));
  EXPECT_EQ(receiver.pages().reserved, 0U);
  EXPECT_EQ(receiver.pages().held, 0U);
  EXPECT_EQ(sender->stats().requests, 0U);
}

TEST_F(AdmissionTest, AnOpenRequestWithoutPutsIsCancelledInTheEnd) {
  ReceiverNode receiver(world_, "r", 4);
  SenderNode sender(world_, 4);
  const auto opening = open(sender, receiver, "req", tiny_keys(0, 4));
  world_.scheduler.run_for(std::chrono::minutes(3));
  EXPECT_EQ(receiver.pages().reserved, 0U);
  EXPECT_EQ(sender->stats().requests, 0U);
}

}  // namespace
}  // namespace baton
