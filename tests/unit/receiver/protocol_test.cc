// The receiver against a hand-made sender: late, doubled, forged and senseless messages.
// Promises: P1, P3, P7, P8.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/handoff.h"
#include "tests/support/raw_sender.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

class ProtocolTest : public ::testing::Test {
 protected:
  ProtocolTest() { raw_.connect(); }

  World world_;
  ReceiverNode receiver_{world_, "r", 4};
  RawSender raw_{world_, receiver_};
};

TEST_F(ProtocolTest, ACommitMustNamePutPageAndGeneration) {
  const auto granted = raw_.allocate(1, "req", 0, 1);
  const auto page = static_cast<std::uint32_t>(granted.remote_indexes[0]);
  const std::uint64_t generation = granted.baton->generations[0];
  ASSERT_TRUE(raw_.write(page, generation, 7).ok());
  EXPECT_NE(raw_.commit_code(raw_.commit(2, page, generation, 7)), 0U) << "another put";
  EXPECT_NE(raw_.commit_code(raw_.commit(1, page + 1, generation, 7)), 0U) << "another page";
  EXPECT_NE(raw_.commit_code(raw_.commit(1, page, generation + 1, 7)), 0U) << "another generation";
  EXPECT_NE(raw_.commit_code(raw_.commit(1, 4'000'000'000U, generation, 7)), 0U);
  EXPECT_NE(raw_.commit_code(raw_.commit(1, page, generation, 8)), 0U) << "another digest";
  auto without_digest = raw_.commit(1, page, generation, 7);
  without_digest.digests.clear();
  EXPECT_NE(raw_.commit_code(without_digest), 0U);
  EXPECT_FALSE(receiver_->contains(tiny_key(0)));

  EXPECT_EQ(raw_.commit_code(raw_.commit(1, page, generation, 7)), 0U);
  EXPECT_TRUE(receiver_->contains(tiny_key(0)));
  EXPECT_EQ(raw_.commit_code(raw_.commit(1, page, generation, 7)), 0U) << "idempotent";
}

TEST_F(ProtocolTest, ALateDrainOrCommitNeverTouchesAPageThatWasGrantedAgain) {
  // All four pages: the next grants must use them again.
  const auto first = raw_.allocate(1, "first", 0, 4);
  raw_.send(wire::CancelNotif{"first", {}, wire::CancelNotif::Baton{raw_.parties(), 0, "test"}});
  EXPECT_EQ(receiver_.pages().quarantined, 4U);
  wire::DrainNotif drain{raw_.parties(), 1, {}, {}};
  for (std::size_t i = 0; i < 4; ++i) {
    drain.pages.push_back(static_cast<std::uint32_t>(first.remote_indexes[i]));
    drain.generations.push_back(first.baton->generations[i]);
  }
  raw_.send(drain);
  EXPECT_EQ(std::get<wire::DrainAck>(raw_.next()).code, 0U);
  EXPECT_EQ(receiver_.pages().free, 4U);

  const auto second = raw_.allocate(2, "second", 10, 4);
  ASSERT_EQ(second.baton->code, 0U);
  raw_.send(drain);
  EXPECT_EQ(std::get<wire::DrainAck>(raw_.next()).code, 0U) << "idempotent";
  EXPECT_EQ(receiver_.pages().granted, 4U) << "the second request keeps its pages";
  EXPECT_NE(raw_.commit_code(raw_.commit(1, drain.pages[0], drain.generations[0], 7)), 0U);
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(ProtocolTest, AWriteIsTakenUntilItsPageLeavesQuarantine) {
  const auto granted = raw_.allocate(1, "req", 0, 1);
  const auto page = static_cast<std::uint32_t>(granted.remote_indexes[0]);
  const std::uint64_t generation = granted.baton->generations[0];
  raw_.send(wire::CancelNotif{"req", {}, wire::CancelNotif::Baton{raw_.parties(), 0, "test"}});
  EXPECT_TRUE(raw_.write(page, generation, 7).ok())
      << "a cancelled request's last bytes must not cost the sender its connection";
  EXPECT_EQ(receiver_.pages().quarantined, 1U);
  raw_.send(wire::DrainNotif{raw_.parties(), 1, {page}, {generation}, 0});
  EXPECT_FALSE(raw_.write(page, generation, 7).ok());
}

TEST_F(ProtocolTest, AnotherIncarnationOfTheReceiverIsNotSpokenTo) {
  auto request = raw_.alloc(1, "req", 0, 1);
  request.baton->parties.receiver_epoch = Epoch::random();
  raw_.send(request);
  const auto refused = std::get<wire::AllocResponse>(raw_.next());
  EXPECT_EQ(refused.baton->code, static_cast<std::uint32_t>(StatusCode::kUnavailable));
  EXPECT_THAT(refused.remote_indexes, IsEmpty());
  EXPECT_EQ(receiver_.pages().free, 4U);
}

TEST_F(ProtocolTest, NobodySpeaksForAnotherSender) {
  RawSender thief(world_, receiver_);
  thief.connect();
  auto request = thief.alloc(1, "req", 0, 1);
  request.baton->parties = raw_.parties();
  thief.send(request);
  EXPECT_EQ(std::get<wire::AllocResponse>(thief.next()).baton->code,
            static_cast<std::uint32_t>(StatusCode::kPermissionDenied));
}

TEST_F(ProtocolTest, WithoutADataConnectionNothingIsGranted) {
  RawSender unconnected(world_, receiver_);
  const auto refused = unconnected.allocate(1, "req", 0, 1);
  EXPECT_EQ(refused.baton->code, static_cast<std::uint32_t>(StatusCode::kUnavailable));
}

TEST_F(ProtocolTest, APutIdIsUsedOnce) {
  EXPECT_EQ(raw_.allocate(1, "req", 0, 1).baton->code, 0U);
  const auto again = raw_.allocate(1, "other", 1, 1);
  EXPECT_EQ(again.baton->code, static_cast<std::uint32_t>(StatusCode::kAlreadyExists));
}

TEST_F(ProtocolTest, ACommitThatNamesAPageTwiceIsRefused) {
  const auto granted = raw_.allocate(1, "req", 0, 1);
  const auto page = static_cast<std::uint32_t>(granted.remote_indexes[0]);
  const std::uint64_t generation = granted.baton->generations[0];
  ASSERT_TRUE(raw_.write(page, generation, 7).ok());
  auto twice = raw_.commit(1, page, generation, 7);
  twice.pages.push_back(page);
  twice.generations.push_back(generation);
  twice.digests.push_back(twice.digests[0]);
  EXPECT_EQ(raw_.commit_code(twice), static_cast<std::uint32_t>(StatusCode::kInvalidArgument));
  EXPECT_EQ(receiver_.pages().granted, 1U);
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(ProtocolTest, ASpareIsNotSpentOnOtherChunks) {
  RawSender writer(world_, receiver_);
  writer.connect();
  ASSERT_EQ(writer.allocate(1, "writer", 0, 1).baton->code, 0U);
  // Opened for two chunks: one is in flight elsewhere and keeps a spare, so one more is left.
  auto first = raw_.alloc(1, "req", 0, 1, /*last=*/false);
  first.async->total_chunks = 2;
  raw_.send(first);
  ASSERT_EQ(std::get<wire::AllocResponse>(raw_.next()).baton->states[0], wire::KeyState::kInFlight);
  const auto greedy = raw_.allocate(2, "req", 10, 2);
  EXPECT_EQ(greedy.baton->code, static_cast<std::uint32_t>(StatusCode::kResourceExhausted));
  EXPECT_EQ(raw_.allocate(3, "req", 10, 1).baton->code, 0U);
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(ProtocolTest, APutWithoutKeysIsRefused) {
  for (std::uint64_t put_id = 1; put_id < 10; ++put_id) {
    const auto refused = raw_.allocate(put_id, "req" + std::to_string(put_id), 0, 0);
    EXPECT_EQ(refused.baton->code, static_cast<std::uint32_t>(StatusCode::kInvalidArgument));
  }
  EXPECT_EQ(receiver_->stats().requests, 0U);
}

TEST_F(ProtocolTest, ALaterPutDoesNotBringAnEndedRequestBack) {
  auto first = raw_.alloc(1, "req", 0, 1, /*last=*/false);
  first.async->total_chunks = 2;
  raw_.send(first);
  ASSERT_EQ(std::get<wire::AllocResponse>(raw_.next()).baton->code, 0U);
  EXPECT_TRUE(receiver_->cancel_request("req"));
  const auto late = raw_.allocate(2, "req", 1, 1);
  EXPECT_EQ(late.baton->code, static_cast<std::uint32_t>(StatusCode::kAborted));
  EXPECT_EQ(receiver_->stats().requests, 0U);
}

TEST_F(ProtocolTest, ACommitThatComesTwiceIsAnsweredOnce) {
  const auto granted = raw_.allocate(1, "req", 0, 1);
  const auto page = static_cast<std::uint32_t>(granted.remote_indexes[0]);
  const std::uint64_t generation = granted.baton->generations[0];
  ASSERT_TRUE(raw_.write(page, generation, 7).ok());
  const auto commit = raw_.commit(1, page, generation, 7);
  raw_.queue(commit);
  raw_.queue(commit);
  world_.scheduler.run_for(std::chrono::milliseconds(5));
  EXPECT_EQ(std::get<wire::CommitResponse>(raw_.next()).code, 0U);
  EXPECT_TRUE(raw_.quiet());
}

TEST_F(ProtocolTest, ACompleteRequestIsNotHiddenByALaterOneOfItsName) {
  const auto granted = raw_.allocate(1, "req", 0, 1);
  const auto page = static_cast<std::uint32_t>(granted.remote_indexes[0]);
  ASSERT_TRUE(raw_.write(page, granted.baton->generations[0], 7).ok());
  ASSERT_EQ(raw_.commit_code(raw_.commit(1, page, granted.baton->generations[0], 7)), 0U);
  auto retry = raw_.alloc(2, "req", 1, 1);
  retry.baton->attempt = 1;
  raw_.send(retry);
  ASSERT_EQ(std::get<wire::AllocResponse>(raw_.next()).baton->code, 0U);
  EXPECT_TRUE(receiver_.claim("req", tiny_keys(0, 1)).ok());
  EXPECT_EQ(receiver_->stats().requests, 1U) << "the retry lives on";
  EXPECT_TRUE(receiver_->cancel_request("req"));
  EXPECT_EQ(receiver_->stats().requests, 0U);
}

TEST_F(ProtocolTest, ACompleteRequestThatNobodyClaimsEnds) {
  const auto granted = raw_.allocate(1, "req", 0, 1);
  const auto page = static_cast<std::uint32_t>(granted.remote_indexes[0]);
  ASSERT_TRUE(raw_.write(page, granted.baton->generations[0], 7).ok());
  ASSERT_EQ(raw_.commit_code(raw_.commit(1, page, granted.baton->generations[0], 7)), 0U);
  EXPECT_EQ(receiver_.pages().held, 1U);
  world_.scheduler.run_for(std::chrono::minutes(6));
  EXPECT_EQ(receiver_->stats().requests, 0U);
  EXPECT_EQ(receiver_.pages().retained, 1U);
}

TEST_F(ProtocolTest, ChunksOfAnotherShapeAreRefused) {
  auto request = raw_.alloc(1, "req", 0, 1);
  request.shape = {2, 1, 4, 16};
  raw_.send(request);
  EXPECT_EQ(std::get<wire::AllocResponse>(raw_.next()).baton->code,
            static_cast<std::uint32_t>(StatusCode::kInvalidArgument));
  EXPECT_EQ(receiver_.pages().free, 4U);
}

TEST_F(ProtocolTest, RubbishAndStockMessagesAreCountedAndHarmNobody) {
  raw_.send_raw("");
  raw_.send_raw("\xc1\xc1\xc1");
  raw_.send_raw(std::string(100'000, '\x91'));
  auto stock = raw_.alloc(1, "req", 0, 1);
  stock.baton.reset();
  raw_.send(stock);
  raw_.send(wire::ProxyNotif{"req", {}});
  EXPECT_TRUE(raw_.quiet());
  EXPECT_EQ(receiver_->stats().rejected_messages, 5U);
  EXPECT_EQ(raw_.allocate(2, "req", 0, 1).baton->code, 0U) << "it goes on serving";
}

TEST_F(ProtocolTest, WhoGoesOnSendingRubbishIsCutOffAndHarmsNoOther) {
  RawSender honest(world_, receiver_);
  honest.connect();
  ASSERT_EQ(honest.allocate(1, "honest", 10, 1).baton->code, 0U);
  ASSERT_EQ(raw_.allocate(1, "req", 0, 1).baton->code, 0U);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(receiver_->stats().cut_off, 0U) << i;
    EXPECT_EQ(receiver_.pages().granted, 2U) << i;
    raw_.send_raw("\xc1 rubbish");
  }
  EXPECT_EQ(receiver_->stats().cut_off, 1U);
  EXPECT_EQ(receiver_.pages().granted, 1U) << "it is fenced, the other is not";
  EXPECT_EQ(receiver_.pages().free, 3U);
  for (int i = 0; i < 100; ++i) {
    raw_.send_raw("\xc1 rubbish");
  }
  EXPECT_EQ(receiver_->stats().rejected_messages, 16U) << "the rest was not even looked at";
  raw_.send(raw_.alloc(2, "again", 1, 1));
  EXPECT_TRUE(raw_.quiet());
  EXPECT_EQ(honest.allocate(2, "more", 11, 1).baton->code, 0U);
}

TEST_F(ProtocolTest, TheHandshakeNamesWhatDiffers) {
  const auto refused = [&](wire::Hello changed) {
    RawSender other(world_, receiver_);
    changed.epoch = other.hello().epoch;
    return std::get<wire::Refusal>(other.shake_hands(changed)).message;
  };
  auto hello = raw_.hello();
  hello.version_min = hello.version_max = 7;
  EXPECT_THAT(refused(hello), ::testing::AllOf(HasSubstr("7 to 7"), HasSubstr("1 to 5")));
  hello = raw_.hello();
  hello.layout.hash_scheme = "other-hash";
  EXPECT_THAT(refused(hello), ::testing::AllOf(HasSubstr("other-hash"), HasSubstr("test-hash-v1")));
  hello = raw_.hello();
  hello.layout.shape = {2, 1, 4, 16};
  EXPECT_THAT(refused(hello),
              ::testing::AllOf(HasSubstr("[2, 1, 4, 16]"), HasSubstr("[2, 1, 4, 8]")));
  hello = raw_.hello();
  hello.transports = {{"carrier-pigeon", ""}};
  EXPECT_THAT(refused(hello), ::testing::AllOf(HasSubstr("carrier-pigeon"), HasSubstr("loopback")));
}

TEST_F(ProtocolTest, ASenderThatComesBackIsFencedFirst) {
  const auto granted = raw_.allocate(1, "req", 0, 2);
  ASSERT_EQ(granted.baton->code, 0U);
  // The same epoch says hello again: its former connection is fenced, then it is let in.
  const auto refused = std::get<wire::Refusal>(raw_.shake_hands(raw_.hello()));
  EXPECT_EQ(refused.code, static_cast<std::uint32_t>(StatusCode::kUnavailable));
  world_.scheduler.run_for(std::chrono::milliseconds(50));
  EXPECT_EQ(receiver_.pages().free, 4U);
  EXPECT_TRUE(std::holds_alternative<wire::Welcome>(raw_.shake_hands(raw_.hello())));
}

}  // namespace
}  // namespace baton
