// Pages granted before there is a put, against a hand-made sender: who gets some, what becomes of
// them, and that no one waits for them for ever.
// Promises: P1, P3, P4, P6, P7.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/support/handoff.h"
#include "tests/support/raw_sender.h"

namespace baton {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary
using wire::KeyState;

constexpr VersionRange kWithAhead{1, 5};
constexpr auto kExhausted = static_cast<std::uint32_t>(StatusCode::kResourceExhausted);

class AheadTest : public ::testing::Test {
 protected:
  AheadTest() { raw_.connect(); }

  wire::AheadGrant ask(RawSender& sender, std::uint64_t sequence, std::uint32_t count) {
    sender.send(wire::AheadRequest{sender.parties(), sequence, count});
    return std::get<wire::AheadGrant>(sender.next());
  }
  wire::AheadGrant ask(std::uint32_t count) { return ask(raw_, ++sequence_, count); }
  /// Of keys first …, whose chunks lie in the first pages of the grant; they were written there.
  wire::AllocRequest there(std::uint64_t put_id, const std::string& req_id, std::uint64_t first,
                           std::uint64_t count, const wire::AheadGrant& grant) {
    wire::AllocRequest request = raw_.alloc(put_id, req_id, first, count);
    wire::AllocRequest::Ahead& ahead = request.ahead.emplace();
    for (std::size_t i = 0; i < count; ++i) {
      const bool has_page = i < grant.pages.size();
      ahead.pages.push_back(has_page ? std::int64_t{grant.pages[i]} : -1);
      ahead.generations.push_back(has_page ? grant.generations[i] : 0);
      ahead.digests.push_back(has_page ? digest_of(chunk_bytes(first + i, 128)) : 0);
      if (has_page) {
        EXPECT_TRUE(raw_.write(grant.pages[i], grant.generations[i], first + i).ok());
      }
    }
    return request;
  }
  wire::AllocResponse put(const wire::AllocRequest& request) {
    raw_.send(request);
    return std::get<wire::AllocResponse>(raw_.next());
  }
  wire::DrainAck give_back(const wire::AheadGrant& grant) {
    raw_.send(wire::DrainNotif{raw_.parties(), 0, grant.pages, grant.generations, ++sequence_});
    return std::get<wire::DrainAck>(raw_.next());
  }

  World world_;
  ReceiverNode receiver_{world_, "r", 16};
  RawSender raw_{world_, receiver_, kWithAhead};
  std::uint64_t sequence_ = 0;
};

TEST_F(AheadTest, AreAtMostAQuarterOfAllAndHalfOfWhatIsLeft) {
  EXPECT_THAT(ask(100).pages, SizeIs(4));
  EXPECT_THAT(ask(100).pages, IsEmpty());
  EXPECT_EQ(receiver_.pages().ahead, 4U);
  EXPECT_EQ(receiver_.pages().free, 12U);
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(AheadTest, AreAtMostSoManyASender) {
  receiver::Config config = ReceiverNode::default_config();
  config.max_peer_ahead = 3;
  ReceiverNode receiver(world_, "three", 64, config);
  RawSender raw(world_, receiver, kWithAhead);
  raw.connect();
  EXPECT_THAT(ask(raw, 1, 2).pages, SizeIs(2));
  EXPECT_THAT(ask(raw, 2, 2).pages, SizeIs(1));
  EXPECT_THAT(ask(raw, 3, 2).pages, IsEmpty());
}

TEST_F(AheadTest, NobodyHasThemWhileARequestWaits) {
  ASSERT_EQ(raw_.allocate(1, "big", 50, 15).baton->code, 0U);
  raw_.send(wire::OpenRequest{raw_.parties(), "waits", 0, {}, 2, 10'000});
  ASSERT_EQ(receiver_->stats().waiting, 1U);
  EXPECT_THAT(ask(1).pages, IsEmpty());
}

TEST_F(AheadTest, AskedAgainTheyAreTheSame) {
  const auto first = ask(raw_, 1, 2);
  EXPECT_EQ(ask(raw_, 1, 2), first);
  EXPECT_EQ(receiver_.pages().ahead, 2U);
  ask(raw_, 2, 1);
  raw_.send(wire::AheadRequest{raw_.parties(), 1, 2});  // It comes late, and was answered.
  EXPECT_TRUE(raw_.quiet());
  EXPECT_EQ(receiver_.pages().ahead, 3U);
}

TEST_F(AheadTest, ASenderOfAnEarlierVersionGetsNone) {
  RawSender old(world_, receiver_, {1, 4});
  old.connect();
  EXPECT_EQ(ask(old, 1, 2).code, static_cast<std::uint32_t>(StatusCode::kFailedPrecondition));
  EXPECT_EQ(receiver_.pages().ahead, 0U);
}

TEST_F(AheadTest, AChunkThatIsThereIsCommittedAtOnce) {
  const auto grant = ask(2);
  const auto answer = put(there(1, "req", 0, 2, grant));
  ASSERT_EQ(answer.baton->code, 0U) << answer.baton->message;
  EXPECT_THAT(answer.baton->states, Each(KeyState::kPlaced));
  EXPECT_THAT(answer.remote_indexes, ElementsAre(grant.pages[0], grant.pages[1]));
  EXPECT_EQ(answer.baton->generations, grant.generations);
  EXPECT_EQ(receiver_.pages().ahead, 0U);
  EXPECT_TRUE(receiver_.claim("req", tiny_keys(0, 2)).ok());
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(AheadTest, WithoutDigestsItIsGrantedAndCommittedAsEver) {
  const auto grant = ask(1);
  auto request = there(1, "req", 0, 1, grant);
  request.ahead->digests.clear();
  const auto answer = put(request);
  EXPECT_THAT(answer.baton->states, ElementsAre(KeyState::kGranted));
  EXPECT_FALSE(receiver_->contains(tiny_key(0)));
  EXPECT_EQ(raw_.commit_code(raw_.commit(1, grant.pages[0], grant.generations[0], 0)), 0U);
  EXPECT_TRUE(receiver_.claim("req", tiny_keys(0, 1)).ok());
}

TEST_F(AheadTest, AKeyThatIsThereLeavesThePageAhead) {
  const auto first = ask(1);
  ASSERT_EQ(put(there(1, "first", 0, 1, first)).baton->code, 0U);
  const auto second = ask(2);
  const auto answer = put(there(2, "second", 0, 2, second));
  EXPECT_THAT(answer.baton->states, ElementsAre(KeyState::kCommitted, KeyState::kPlaced));
  EXPECT_EQ(receiver_.pages().ahead, 1U);
  EXPECT_EQ(give_back(second).code, 0U);
  EXPECT_EQ(receiver_.pages().ahead, 0U);
  EXPECT_TRUE(receiver_->contains(tiny_key(1))) << "a committed page is not given back";
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(AheadTest, WhatIsNotTheSendersIsGrantedElsewhere) {
  RawSender other(world_, receiver_, kWithAhead);
  other.connect();
  const auto theirs = ask(other, 1, 1);
  wire::AllocRequest request = raw_.alloc(1, "req", 0, 3);
  const std::int64_t page = theirs.pages[0];
  const std::uint64_t generation = theirs.generations[0];
  request.ahead = {{page, 15, 1'000'000}, {generation, 77, 78}, {1, 2, 3}};
  const auto answer = put(request);
  EXPECT_THAT(answer.baton->states, Each(KeyState::kGranted));
  EXPECT_NE(answer.remote_indexes[0], page);
  EXPECT_EQ(receiver_.pages().ahead, 1U);
}

TEST_F(AheadTest, OnePageIsNotTwoChunks) {
  const auto grant = ask(1);
  auto request = there(1, "req", 0, 2, grant);
  request.ahead->pages[1] = request.ahead->pages[0];
  request.ahead->generations[1] = request.ahead->generations[0];
  const auto answer = put(request);
  EXPECT_THAT(answer.baton->states, ElementsAre(KeyState::kPlaced, KeyState::kGranted));
  EXPECT_NE(answer.remote_indexes[0], answer.remote_indexes[1]);
}

TEST_F(AheadTest, AfterItsLeaseAPageIsNotTaken) {
  const auto grant = ask(1);
  const auto request = there(1, "req", 0, 1, grant);
  give_back(grant);
  const auto answer = put(request);
  EXPECT_THAT(answer.baton->states, ElementsAre(KeyState::kGranted));
  EXPECT_NE(answer.baton->generations[0], grant.generations[0]);
  EXPECT_FALSE(receiver_->contains(tiny_key(0)));
}

TEST_F(AheadTest, AWrongDigestEndsTheRequestAndItsPageWaitsForItsWriter) {
  const auto grant = ask(1);
  auto request = there(1, "req", 0, 2, grant);
  request.ahead->digests[0] ^= 1U;
  EXPECT_EQ(put(request).baton->code, static_cast<std::uint32_t>(StatusCode::kDataLoss));
  EXPECT_FALSE(receiver_->contains(tiny_key(0)));
  EXPECT_EQ(receiver_.pages().quarantined, 1U) << "its sender may write there still";
  EXPECT_EQ(receiver_.pages().free, 15U) << "of the other it was not told";
  give_back(grant);
  EXPECT_EQ(receiver_.pages().free, 16U);
}

TEST_F(AheadTest, GivingAnAdoptedPageBackEndsItsRequest) {
  const auto grant = ask(1);
  auto request = there(1, "req", 0, 1, grant);
  request.ahead->digests.clear();
  ASSERT_EQ(put(request).baton->code, 0U);
  give_back(grant);
  EXPECT_EQ(receiver_->stats().requests, 0U);
  EXPECT_EQ(receiver_.pages().free, 16U);
}

TEST_F(AheadTest, APutNeedsNoPageForWhatItBrings) {
  const auto grant = ask(4);
  RawSender other(world_, receiver_);
  other.connect();
  ASSERT_EQ(other.allocate(1, "big", 50, 12).baton->code, 0U);
  ASSERT_EQ(receiver_.pages().free, 0U);
  const auto answer = put(there(1, "req", 0, 4, grant));
  ASSERT_EQ(answer.baton->code, 0U) << answer.baton->message;
  EXPECT_THAT(answer.baton->states, Each(KeyState::kPlaced));
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(AheadTest, ARequestThatIsOpenGetsAUnitBackForWhatItBrings) {
  const auto grant = ask(2);
  raw_.send(wire::OpenRequest{raw_.parties(), "req", 0, {}, 3, 10'000});
  ASSERT_EQ(std::get<wire::OpenResponse>(raw_.next()).code, 0U);
  ASSERT_EQ(receiver_.pages().reserved, 3U);
  auto request = there(1, "req", 0, 2, grant);
  request.async->is_last_batch = false;
  ASSERT_EQ(put(request).baton->code, 0U);
  EXPECT_EQ(receiver_.pages().reserved, 1U);
  EXPECT_EQ(put(raw_.alloc(2, "req", 2, 1)).baton->code, 0U) << "it was opened for three";
  EXPECT_EQ(receiver_.pages().reserved, 0U);
}

TEST_F(AheadTest, WhoWaitsGetsThemBack) {
  const auto grant = ask(4);
  RawSender other(world_, receiver_);
  other.connect();
  other.send(wire::OpenRequest{other.parties(), "all", 0, {}, 16, 10'000});
  const auto recall = std::get<wire::DrainRequest>(raw_.next());
  EXPECT_EQ(recall.put_id, 0U);
  EXPECT_EQ(recall.pages, grant.pages);
  EXPECT_EQ(recall.generations, grant.generations);
  EXPECT_TRUE(other.quiet());
  give_back(grant);
  EXPECT_EQ(std::get<wire::OpenResponse>(other.next()).code, 0U);
}

TEST_F(AheadTest, NobodyOvertakesWhoWaitsForThemAlone) {
  const auto grant = ask(4);
  RawSender other(world_, receiver_);
  other.connect();
  other.send(wire::OpenRequest{other.parties(), "all", 0, {}, 14, 10'000});
  other.send(wire::OpenRequest{other.parties(), "small", 0, {}, 2, 10'000});
  EXPECT_TRUE(other.quiet()) << "the small one would fit";
  ASSERT_TRUE(std::holds_alternative<wire::DrainRequest>(raw_.next()));
  EXPECT_EQ(receiver_->stats().waiting, 2U);
  give_back(grant);
  EXPECT_EQ(std::get<wire::OpenResponse>(other.next()).req_id, "all");
  EXPECT_EQ(std::get<wire::OpenResponse>(other.next()).req_id, "small");
}

TEST_F(AheadTest, AReleasedRequestIsNotBroughtBackByItsPut) {
  const auto grant = ask(1);
  wire::AllocRequest request = there(1, "req", 0, 1, grant);
  request.async->is_last_batch = false;
  request.async->total_chunks = 2;
  ASSERT_EQ(put(request).baton->code, 0U);
  raw_.send(wire::ReleaseNotif{raw_.parties(), "req", 0});
  EXPECT_EQ(receiver_->stats().requests, 0U);
  EXPECT_NE(put(request).baton->code, 0U) << "it has ended";
}

TEST_F(AheadTest, ARecallIsSaidAgain) {
  ask(4);
  RawSender other(world_, receiver_);
  other.connect();
  other.send(wire::OpenRequest{other.parties(), "all", 0, {}, 16, 10'000});
  EXPECT_TRUE(std::holds_alternative<wire::DrainRequest>(raw_.next()));
  EXPECT_TRUE(std::holds_alternative<wire::DrainRequest>(raw_.next()));
}

TEST_F(AheadTest, APutThatIsNotOpenedWaitsForThem) {
  const auto grant = ask(4);
  RawSender other(world_, receiver_);
  other.connect();
  other.send(other.alloc(1, "all", 50, 16));
  EXPECT_TRUE(other.quiet()) << "it is neither granted nor refused";
  EXPECT_TRUE(std::holds_alternative<wire::DrainRequest>(raw_.next()));
  other.send(other.alloc(1, "all", 50, 16));  // Said again.
  EXPECT_TRUE(other.quiet());
  EXPECT_THAT(ask(1).pages, IsEmpty());
  give_back(grant);
  const auto answer = std::get<wire::AllocResponse>(other.next());
  EXPECT_EQ(answer.baton->code, 0U) << answer.baton->message;
  EXPECT_TRUE(other.quiet()) << "and it is answered once";
}

TEST_F(AheadTest, ItDoesNotWaitForEver) {
  ask(4);
  RawSender other(world_, receiver_);
  other.connect();
  other.send(other.alloc(1, "all", 50, 16));
  const TimePoint begun = world_.scheduler.now();
  EXPECT_EQ(std::get<wire::AllocResponse>(other.next()).baton->code, kExhausted);
  EXPECT_GE(world_.scheduler.now() - begun, ReceiverNode::default_config().lease);
}

TEST_F(AheadTest, ThoseOfALostSenderAreFreeOnceItIsFenced) {
  transport::LoopbackOptions slow;
  slow.fence_delay = std::chrono::seconds(1);
  World world(slow);
  ReceiverNode receiver(world, "r", 16);
  auto raw = std::make_unique<RawSender>(world, receiver, kWithAhead);
  raw->connect();
  ask(*raw, 1, 3);
  raw.reset();
  world.scheduler.run_for(std::chrono::milliseconds(10));
  EXPECT_EQ(receiver.pages().ahead, 0U);
  EXPECT_EQ(receiver.pages().quarantined, 3U);
  world.scheduler.run_for(std::chrono::seconds(2));
  EXPECT_EQ(receiver.pages().free, 16U);
  EXPECT_EQ(receiver->audit(), "");
}

}  // namespace
}  // namespace baton
