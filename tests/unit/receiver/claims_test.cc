// Claims, gets, pins and removal: who may read, and what keeps a chunk. Promises: P1, P5, P6.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "tests/support/handoff.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

constexpr auto kSecond = std::chrono::seconds(1);

class ClaimsTest : public ::testing::Test {
 protected:
  void put(const std::string& req_id, std::uint64_t first, std::uint64_t count) {
    const auto result = sender_.submit(receiver_, sender_.spec(req_id, first, count));
    ASSERT_TRUE(world_.scheduler.run_until([&] { return result->done(); }));
    ASSERT_TRUE(result->status().ok()) << result->status();
  }
  void settle() { world_.scheduler.run_for(std::chrono::milliseconds(10)); }
  StatusOr<MemoryObj> get(const std::string& key, Duration timeout = kSecond) {
    std::optional<StatusOr<MemoryObj>> result;
    receiver_->claims().get(key, world_.scheduler.now() + timeout,
                            [&](StatusOr<MemoryObj> got) { result = std::move(got); });
    EXPECT_TRUE(world_.scheduler.run_until([&] { return result.has_value(); }));
    return *result;
  }

  World world_;
  ReceiverNode receiver_{world_, "r", 4};
  SenderNode sender_{world_, 8};
};

TEST_F(ClaimsTest, AClaimBeforeTheRequestWaitsForIt) {
  std::optional<StatusOr<Claim>> result;
  receiver_->claims().claim("req", tiny_keys(0, 2), world_.scheduler.now() + 5 * kSecond,
                            [&](StatusOr<Claim> claim) { result = std::move(claim); });
  settle();
  EXPECT_FALSE(result.has_value());
  put("req", 0, 2);
  settle();
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(result->ok()) << result->status();
}

TEST_F(ClaimsTest, NothingIsClaimedBeforeTheRequestIsComplete) {
  auto spec = sender_.spec("req", 0, 1, /*is_last=*/false);
  spec.total_chunks = 2;
  const auto first = sender_.submit(receiver_, std::move(spec));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return first->done(); }));
  const auto early = receiver_.claim("req", tiny_keys(0, 1), kSecond);
  EXPECT_TRUE(absl::IsDeadlineExceeded(early.status())) << "its last put has not come";
  put("req", 1, 1);
  EXPECT_TRUE(receiver_.claim("req", tiny_keys(0, 2)).ok());
}

TEST_F(ClaimsTest, AClaimEndsAtItsDeadline) {
  const TimePoint start = world_.scheduler.now();
  const auto claim = receiver_.claim("never", tiny_keys(0, 1), 3 * kSecond);
  EXPECT_TRUE(absl::IsDeadlineExceeded(claim.status())) << claim.status();
  EXPECT_EQ(world_.scheduler.now() - start, 3 * kSecond);
}

TEST_F(ClaimsTest, AKeyThatIsNotOfTheRequestIsNamed) {
  put("other", 7, 1);
  put("req", 0, 1);
  const auto claim = receiver_.claim("req", {tiny_key(0), tiny_key(7)});
  EXPECT_TRUE(absl::IsNotFound(claim.status())) << claim.status();
  EXPECT_THAT(std::string(claim.status().message()), HasSubstr(tiny_key(7)));
  EXPECT_TRUE(receiver_.claim("req", tiny_keys(0, 1)).ok()) << "a wrong claim costs nothing";
}

TEST_F(ClaimsTest, TheClaimKeepsItsChunksAndOnlyTheLastOfItsObjectsLetsThemGo) {
  put("req", 0, 2);
  auto claim = receiver_.claim("req", tiny_keys(0, 2));
  ASSERT_TRUE(claim.ok()) << claim.status();
  settle();
  EXPECT_EQ(receiver_->stats().requests, 0U) << "the request's own holds have ended";
  EXPECT_EQ(receiver_.pages().held, 2U);
  const MemoryObj kept = claim->chunks()[0];
  claim->release();
  settle();
  EXPECT_EQ(receiver_.pages().held, 2U);
  EXPECT_TRUE(absl::IsFailedPrecondition(receiver_->remove(tiny_key(0))));
  { const MemoryObj last = kept; }
  *claim = Claim();
  settle();
  EXPECT_EQ(receiver_.pages().held, 2U);
}

TEST_F(ClaimsTest, ReleasedChunksAreRetainedAndRemovable) {
  put("req", 0, 2);
  ASSERT_TRUE(receiver_.claim("req", tiny_keys(0, 2)).ok());
  settle();
  EXPECT_EQ(receiver_.pages().retained, 2U);
  EXPECT_TRUE(receiver_->contains(tiny_key(1)));
  EXPECT_TRUE(receiver_->remove(tiny_key(1)).ok());
  EXPECT_FALSE(receiver_->contains(tiny_key(1)));
  EXPECT_TRUE(absl::IsNotFound(receiver_->remove(tiny_key(1))));
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(ClaimsTest, APinKeepsAChunkUntilUnpinnedOrExpired) {
  put("req", 0, 1);
  ASSERT_TRUE(receiver_.claim("req", tiny_keys(0, 1)).ok());
  settle();
  const TimePoint now = world_.scheduler.now();
  EXPECT_FALSE(receiver_->claims().pin(tiny_key(5), now + kSecond));
  EXPECT_TRUE(receiver_->claims().pin(tiny_key(0), now + 10 * kSecond));
  EXPECT_TRUE(receiver_->claims().pin(tiny_key(0), now + 2 * kSecond));
  EXPECT_EQ(receiver_->evict_all_retained(), 0U);
  world_.scheduler.run_for(3 * kSecond);
  EXPECT_EQ(receiver_.pages().held, 1U) << "the longer pin lasts";
  EXPECT_TRUE(receiver_->claims().unpin(tiny_key(0)));
  EXPECT_FALSE(receiver_->claims().unpin(tiny_key(0)));
  EXPECT_EQ(receiver_.pages().retained, 1U);
  EXPECT_TRUE(receiver_->claims().pin(tiny_key(0), world_.scheduler.now() + kSecond));
  world_.scheduler.run_for(2 * kSecond);
  EXPECT_EQ(receiver_.pages().retained, 1U) << "it expired";
}

TEST_F(ClaimsTest, PinningNeverTakesAPageThatIsPromised) {
  put("req", 0, 1);
  ASSERT_TRUE(receiver_.claim("req", tiny_keys(0, 1)).ok());
  settle();
  // All four pages are promised; one of them is the retained chunk's.
  auto opened = sender_.open(receiver_, "all", tiny_keys(100, 4));
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_FALSE(receiver_->claims().pin(tiny_key(0), world_.scheduler.now() + kSecond));
  EXPECT_TRUE(absl::IsDeadlineExceeded(get(tiny_key(0)).status()));
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(ClaimsTest, GetSeesOnlyWhatIsCommitted) {
  EXPECT_TRUE(absl::IsNotFound(get(tiny_key(0)).status()));
  put("req", 0, 1);
  const auto got = get(tiny_key(0));
  ASSERT_TRUE(got.ok()) << got.status();
  const auto expected = chunk_bytes(0, 128);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), got->bytes().begin()));
}

TEST_F(ClaimsTest, ALateClaimOfAFailedRequestSaysWhy) {
  auto spec = sender_.spec("req", 0, 1, false);
  spec.total_chunks = 2;
  const auto first = sender_.submit(receiver_, std::move(spec));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return first->done(); }));
  sender_->cancel("req", absl::CancelledError(std::string("user went away")));
  settle();
  const auto claim = receiver_.claim("req", tiny_keys(0, 1));
  EXPECT_TRUE(absl::IsAborted(claim.status())) << claim.status();
  EXPECT_THAT(std::string(claim.status().message()), HasSubstr("user went away"));
}

TEST_F(ClaimsTest, AnUnclaimedRequestOfADeadSenderStaysClaimable) {
  put("req", 0, 2);
  world_.hub.break_connection(sender_.epoch(), receiver_.epoch(),
                              absl::UnavailableError(std::string("gone")));
  settle();
  EXPECT_TRUE(receiver_.claim("req", tiny_keys(0, 2)).ok());
}

TEST_F(ClaimsTest, MemoryOutlivesTheReceiver) {
  MemoryObj kept;
  {
    World world;
    ReceiverNode receiver(world, "r", 4);
    SenderNode sender(world, 4);
    const auto result = sender.submit(receiver, sender.spec("req", 3, 1));
    ASSERT_TRUE(world.scheduler.run_until([&] { return result->done(); }));
    kept = receiver.claim("req", tiny_keys(3, 1))->chunks()[0];
  }
  const auto expected = chunk_bytes(3, 128);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), kept.bytes().begin()));
}

}  // namespace
}  // namespace baton
