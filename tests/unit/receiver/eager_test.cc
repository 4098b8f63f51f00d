// Puts that bring their bytes along, against a hand-made sender: what is placed, what is not looked
// at, and that nothing of it is done twice.
// Promises: P1, P3, P4, P6, P8.
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
using ::testing::HasSubstr;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary
using wire::KeyState;

constexpr std::size_t kChunkBytes = 128;

class EagerTest : public ::testing::Test {
 protected:
  EagerTest() { raw_.connect(); }

  /// For keys first … first + count - 1, each with the bytes that its number seeds.
  wire::AllocRequest eager(std::uint64_t put_id, const std::string& req_id, std::uint64_t first,
                           std::uint64_t count, bool last = true) const {
    wire::AllocRequest request = raw_.alloc(put_id, req_id, first, count, last);
    wire::AllocRequest::Eager& part = request.eager.emplace();
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto bytes = chunk_bytes(first + i, kChunkBytes);
      part.digests.push_back(digest_of(bytes));
      part.bytes.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    return request;
  }
  wire::AllocResponse ask(const wire::AllocRequest& request) {
    raw_.send(request);
    return std::get<wire::AllocResponse>(raw_.next());
  }
  bool holds(std::int64_t page, std::uint64_t seed) {
    const auto expected = chunk_bytes(seed, kChunkBytes);
    return std::ranges::equal(
        receiver_.buffer().page(static_cast<std::uint32_t>(page)).first(kChunkBytes), expected);
  }

  World world_;
  ReceiverNode receiver_{world_, "r", 4};
  RawSender raw_{world_, receiver_, {1, 4}};
};

TEST_F(EagerTest, OneMessageCommitsAndCompletes) {
  const auto answer = ask(eager(1, "req", 0, 3));
  ASSERT_EQ(answer.baton->code, 0U) << answer.baton->message;
  EXPECT_THAT(answer.baton->states, Each(KeyState::kPlaced));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(receiver_->contains(tiny_key(i)));
    EXPECT_TRUE(holds(answer.remote_indexes[i], i));
  }
  EXPECT_EQ(receiver_.pages().granted, 0U);
  EXPECT_TRUE(receiver_.claim("req", tiny_keys(0, 3)).ok());
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(EagerTest, NothingIsPlacedWithoutAdmission) {
  auto five = eager(1, "req", 0, 5);  // Of four pages.
  const auto refused = ask(five);
  EXPECT_EQ(refused.baton->code, static_cast<std::uint32_t>(StatusCode::kResourceExhausted));
  EXPECT_FALSE(receiver_->contains(tiny_key(0)));
  EXPECT_EQ(receiver_.pages().free, 4U);
}

TEST_F(EagerTest, NobodyIsOvertakenByBytesThatAreHereAlready) {
  RawSender other(world_, receiver_);
  other.connect();
  ASSERT_EQ(other.allocate(1, "big", 50, 3).baton->code, 0U);
  other.send(wire::OpenRequest{other.parties(), "waits", 0, {}, 2, 10'000});
  ASSERT_EQ(receiver_->stats().waiting, 1U);
  const auto refused = ask(eager(1, "req", 0, 1));  // One page is free, but it isn't its turn.
  EXPECT_EQ(refused.baton->code, static_cast<std::uint32_t>(StatusCode::kResourceExhausted));
  EXPECT_FALSE(receiver_->contains(tiny_key(0)));
}

TEST_F(EagerTest, WhatIsThereIsLeftAsItIs) {
  ASSERT_EQ(ask(eager(1, "first", 0, 1)).baton->code, 0U);
  auto second = eager(2, "second", 0, 2);
  second.eager->bytes.replace(0, kChunkBytes, std::string(kChunkBytes, 'x'));  // Of the hit.
  const auto answer = ask(second);
  EXPECT_THAT(answer.baton->states, ElementsAre(KeyState::kCommitted, KeyState::kPlaced));
  const auto claim = receiver_.claim("second", tiny_keys(0, 2));
  ASSERT_TRUE(claim.ok());
  EXPECT_TRUE(holds(claim->chunks()[0].page(), 0));
}

TEST_F(EagerTest, AnothersChunkInFlightIsNotTouched) {
  RawSender writer(world_, receiver_);
  writer.connect();
  const auto granted = writer.allocate(1, "writer", 0, 1);
  const auto answer = ask(eager(1, "req", 0, 2));
  EXPECT_THAT(answer.baton->states, ElementsAre(KeyState::kInFlight, KeyState::kPlaced));
  EXPECT_FALSE(receiver_->contains(tiny_key(0)));
  // Its writer gives up: the eager put takes over by writing, for its bytes are forgotten.
  writer.send(wire::CancelNotif{"writer", {}, wire::CancelNotif::Baton{writer.parties(), 0, "t"}});
  const auto update = std::get<wire::ChunkUpdate>(raw_.next());
  EXPECT_THAT(update.states, ElementsAre(KeyState::kGranted));
  EXPECT_FALSE(receiver_->contains(tiny_key(0)));
  ASSERT_TRUE(raw_.write(update.pages[0], update.generations[0], 0).ok());
  EXPECT_EQ(raw_.commit_code(raw_.commit(1, update.pages[0], update.generations[0], 0)), 0U);
  EXPECT_TRUE(receiver_.claim("req", tiny_keys(0, 2)).ok());
}

TEST_F(EagerTest, SaidAgainItIsAnsweredAgainAndItsBytesAreNotLookedAt) {
  const auto request = eager(1, "req", 0, 2);
  const auto first = ask(request);
  auto again = request;
  again.eager->bytes.assign(2 * kChunkBytes, 'x');
  EXPECT_EQ(ask(again), first);
  EXPECT_TRUE(holds(first.remote_indexes[0], 0));
  EXPECT_TRUE(receiver_.claim("req", tiny_keys(0, 2)).ok());
  EXPECT_NE(ask(request).baton->code, 0U) << "it was claimed";
}

// A put that awaits another's chunk, and was granted it meanwhile, is writing that page.
TEST_F(EagerTest, SaidAgainItsBytesDoNotReachAPageThatItIsWriting) {
  RawSender writer(world_, receiver_);
  writer.connect();
  writer.allocate(1, "writer", 0, 1);
  const auto request = eager(1, "req", 0, 1);
  ASSERT_THAT(ask(request).baton->states, ElementsAre(KeyState::kInFlight));
  writer.send(wire::CancelNotif{"writer", {}, wire::CancelNotif::Baton{writer.parties(), 0, "t"}});
  ASSERT_THAT(std::get<wire::ChunkUpdate>(raw_.next()).states, ElementsAre(KeyState::kGranted));
  EXPECT_THAT(ask(request).baton->states, ElementsAre(KeyState::kGranted));
  EXPECT_FALSE(receiver_->contains(tiny_key(0)));
}

TEST_F(EagerTest, AWrongDigestEndsTheRequestAndLosesNoPage) {
  auto request = eager(1, "req", 0, 3);
  request.eager->digests[1] ^= 1U;
  const auto refused = ask(request);
  EXPECT_EQ(refused.baton->code, static_cast<std::uint32_t>(StatusCode::kDataLoss));
  EXPECT_THAT(refused.baton->message, HasSubstr("differ from what was sent"));
  for (std::uint64_t i = 0; i < 3; ++i) {
    EXPECT_FALSE(receiver_->contains(tiny_key(i))) << i;
  }
  EXPECT_EQ(receiver_.pages().free, 4U) << "no writer was told of them: they wait for none";
  EXPECT_NE(ask(eager(2, "req", 0, 3)).baton->code, 0U) << "the attempt has ended";
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(EagerTest, DigestsMustComeWhereTheyAreVerified) {
  auto request = eager(1, "req", 0, 2);
  request.eager->digests.clear();
  EXPECT_EQ(ask(request).baton->code, static_cast<std::uint32_t>(StatusCode::kInvalidArgument));
  EXPECT_FALSE(receiver_->contains(tiny_key(0)));
  EXPECT_EQ(receiver_.pages().free, 4U);
}

TEST_F(EagerTest, APartialLastChunkIsPlaced) {
  auto request = eager(1, "req", 0, 2);
  request.last_chunk_toks = 2;
  const auto part = chunk_bytes(1, 64);
  request.eager->bytes.resize(kChunkBytes);
  request.eager->bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
  request.eager->digests[1] = digest_of(part);
  ASSERT_THAT(ask(request).baton->states, Each(KeyState::kPlaced));
  const auto claim = receiver_.claim("req", tiny_keys(0, 2));
  ASSERT_TRUE(claim.ok());
  EXPECT_EQ(claim->chunks()[1].meta(), tiny_chunk(2));
  EXPECT_TRUE(std::ranges::equal(claim->chunks()[1].bytes(), part));
}

TEST(EagerFaultTest, DamageBeforeTheCheckIsFound) {
  World world;
  receiver::FaultHooks faults;
  faults.before_verify = [](std::span<std::byte> chunk) { chunk[5] ^= std::byte{1}; };
  ReceiverNode receiver(world, "r", 4, ReceiverNode::default_config(), std::move(faults));
  sender::Config config = SenderNode::default_config();
  config.eager_bytes = 1'000;
  SenderNode sender(world, 4, config);
  const auto put = sender.submit(receiver, sender.spec("req", 0, 2));
  ASSERT_TRUE(world.scheduler.run_until([&] { return put->done(); }));
  EXPECT_TRUE(absl::IsDataLoss(put->status())) << put->status();
  EXPECT_FALSE(receiver->contains(tiny_key(0)));
}

}  // namespace
}  // namespace baton
