// The receiver's side of reads, against a hand-made reader.
// Promises: P1, P3, P4, P5, P6, P8.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/handoff.h"
#include "tests/support/raw_sender.h"

namespace baton {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary
using wire::ReadState;

constexpr Duration kLease = std::chrono::seconds(10);  // the default
constexpr VersionRange kWithReads{1, 3};

class ReadsTest : public ::testing::Test {
 protected:
  explicit ReadsTest(receiver::Config config = ReceiverNode::default_config())
      : receiver_(world_, "r", 4, std::move(config)) {
    raw_.connect();
  }

  /// Chunks first … first + count - 1, with their bytes, claimed and let go: retained.
  void put(std::uint64_t first, std::uint64_t count) {
    const std::string req_id = "put-" + std::to_string(first);
    SenderNode sender(world_, 8);
    const auto put = sender.submit(receiver_, sender.spec(req_id, first, count));
    ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
    ASSERT_TRUE(put->status().ok()) << put->status();
    ASSERT_TRUE(receiver_.claim(req_id, tiny_keys(first, count)).ok());
    world_.scheduler.run_ready();
  }
  wire::ReadRequest request(std::uint64_t id, std::uint64_t first, std::uint64_t count,
                            std::uint32_t timeout_ms = 1'000) const {
    return {raw_.parties(), id, tiny_keys(first, count), timeout_ms};
  }
  wire::ReadResponse ask(RawSender& reader, const wire::ReadRequest& request) {
    reader.send(request);
    return std::get<wire::ReadResponse>(reader.next());
  }
  wire::ReadResponse ask(const wire::ReadRequest& request) { return ask(raw_, request); }
  std::uint32_t release(std::uint64_t id) {
    raw_.send(wire::ReadRelease{raw_.parties(), id});
    return std::get<wire::ReadReleaseAck>(raw_.next()).code;
  }
  void beat() {
    raw_.send(wire::Heartbeat{raw_.parties(), 1, {}});
    while (!raw_.quiet()) {
      answers_.push_back(raw_.next());
    }
  }

  World world_;
  ReceiverNode receiver_;
  RawSender raw_{world_, receiver_, kWithReads};
  std::vector<wire::Message> answers_;
};

TEST_F(ReadsTest, OnlyWhatIsCommittedIsAHitAndIsHeldUntilItsRelease) {
  put(0, 2);
  RawSender writer(world_, receiver_);
  writer.connect();
  ASSERT_EQ(writer.allocate(1, "in flight", 2, 1).baton->code, 0U);

  const auto response = ask(request(1, 0, 4));
  EXPECT_EQ(response.code, 0U) << response.message;
  EXPECT_THAT(response.states,
              ElementsAre(ReadState::kHit, ReadState::kHit, ReadState::kMiss, ReadState::kMiss));
  EXPECT_THAT(response.lengths, ElementsAre(128, 128, 0, 0));
  EXPECT_EQ(response.digests[1], digest_of(chunk_bytes(1, 128)));
  EXPECT_EQ(receiver_.pages().held, 2U);
  EXPECT_EQ(receiver_->evict_all_retained(), 0U);
  const auto bytes = raw_.read(response.pages[1], response.generations[1]);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(*bytes, chunk_bytes(1, 128));

  EXPECT_EQ(release(1), 0U);
  EXPECT_EQ(receiver_.pages().held, 0U);
  EXPECT_EQ(receiver_->stats().reads, 0U);
  EXPECT_EQ(release(1), 0U) << "idempotent";
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(ReadsTest, WithoutAHoldNothingIsRead) {
  put(0, 1);
  const auto response = ask(request(1, 0, 1));
  EXPECT_EQ(release(1), 0U);
  EXPECT_FALSE(raw_.read(response.pages[0], response.generations[0]).ok());
}

TEST_F(ReadsTest, AHoldIsOfOneReaderAndOneGenerationAndTheChunksBytes) {
  put(0, 1);
  const auto response = ask(request(1, 0, 1));
  {
    RawSender thief(world_, receiver_, kWithReads);
    thief.connect();
    EXPECT_FALSE(thief.read(response.pages[0], response.generations[0]).ok());
  }
  EXPECT_TRUE(raw_.read(response.pages[0], response.generations[0]).ok());
  EXPECT_FALSE(raw_.read(response.pages[0], response.generations[0] + 1).ok());
}

TEST_F(ReadsTest, ARequestThatComesAgainIsAnsweredAgainAndHoldsNothingTwice) {
  put(0, 2);
  const auto first = ask(request(7, 0, 3));
  put(2, 1);
  EXPECT_EQ(ask(request(7, 0, 3)), first) << "what came later is none of its";
  EXPECT_EQ(ask(request(7, 0, 2)).code, static_cast<std::uint32_t>(StatusCode::kAlreadyExists));
  EXPECT_EQ(release(7), 0U);
  EXPECT_EQ(receiver_.pages().held, 0U);
}

TEST_F(ReadsTest, TwoReadsOfAChunkHoldItTwice) {
  put(0, 1);
  const auto first = ask(request(1, 0, 1));
  ask(request(2, 0, 1));
  release(1);
  EXPECT_EQ(receiver_.pages().held, 1U);
  EXPECT_TRUE(raw_.read(first.pages[0], first.generations[0]).ok());
  release(2);
  EXPECT_EQ(receiver_.pages().held, 0U);
}

TEST_F(ReadsTest, WhatIsSenselessIsRefusedWithTheNumbers) {
  put(0, 1);
  EXPECT_THAT(ask(request(1, 0, 1, 300'001)).message, HasSubstr("at most 300000 ms"));
  auto twice = request(2, 0, 2);
  twice.keys = {twice.keys[0], twice.keys[0]};
  EXPECT_THAT(ask(twice).message, HasSubstr("stands twice"));
  auto other = request(3, 0, 1);
  other.parties.receiver_epoch = Epoch::random();
  const auto refused = ask(other);
  EXPECT_EQ(refused.code, static_cast<std::uint32_t>(StatusCode::kUnavailable));
  EXPECT_EQ(receiver_->stats().reads, 0U);
  EXPECT_EQ(receiver_.pages().held, 0U);
}

TEST_F(ReadsTest, APeerOfVersionTwoGetsNoAnswer) {
  RawSender old(world_, receiver_, {1, 2});
  old.connect();
  old.send(wire::ReadRequest{old.parties(), 1, tiny_keys(0, 1), 1'000});
  EXPECT_TRUE(old.quiet());
  EXPECT_EQ(receiver_->stats().rejected_messages, 1U);
}

TEST_F(ReadsTest, ALostReadersHoldsLastUntilItIsFenced) {
  put(0, 4);
  ask(request(1, 0, 2));
  world_.hub.break_connection(raw_.epoch(), receiver_.epoch(),
                              absl::UnavailableError(std::string("cut")));
  bool was_held_while_fencing = false;
  EXPECT_TRUE(world_.scheduler.run_until([&] {
    was_held_while_fencing |= receiver_.pages().held == 2;
    return receiver_->stats().peers == 0;
  }));
  EXPECT_TRUE(was_held_while_fencing);
  EXPECT_EQ(receiver_.pages().held, 0U);
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(ReadsTest, WhoBeatsButNeverReleasesIsRemindedAndThenFenced) {
  put(0, 1);
  const auto response = ask(request(1, 0, 1, 1'000));
  const TimePoint due = world_.scheduler.now() + std::chrono::seconds(1);
  const auto beat_until = [&](TimePoint end) {
    while (world_.scheduler.now() < end) {
      world_.scheduler.run_for(std::chrono::seconds(1));
      beat();
    }
  };
  const auto reminders = [&] {
    return std::ranges::count_if(answers_, [&](const wire::Message& message) {
      const auto* said = std::get_if<wire::ReadResponse>(&message);
      return said != nullptr && *said == response;
    });
  };
  beat_until(due + kLease / 2 - std::chrono::seconds(1));
  EXPECT_EQ(reminders(), 0) << "too early";
  beat_until(due + kLease - std::chrono::seconds(1));
  EXPECT_EQ(reminders(), 1);
  EXPECT_EQ(receiver_.pages().held, 1U) << "no clock ends a hold";
  EXPECT_EQ(receiver_->stats().peers, 1U);
  world_.scheduler.run_for(kLease / 2);
  EXPECT_EQ(receiver_->stats().peers, 0U) << "fenced";
  EXPECT_EQ(receiver_.pages().held, 0U);
}

TEST_F(ReadsTest, ReadersGetNoPageThatARequestWaitsFor) {
  put(0, 3);
  EXPECT_THAT(ask(request(1, 0, 1)).states, ElementsAre(ReadState::kHit));
  ASSERT_EQ(receiver_->query_committed(tiny_keys(2, 1), kLease).size(), 1U);
  SenderNode writer(world_, 8);
  writer->open({receiver_.address(), {"waits", 0}, tiny_keys(10, 4), 0, std::chrono::seconds(20)},
               [](const auto& /*opened*/) {});
  ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver_->stats().waiting == 1; }));
  EXPECT_THAT(ask(request(2, 0, 2)).states, ElementsAre(ReadState::kMiss, ReadState::kMiss))
      << "neither what is retained nor what only readers hold";
  EXPECT_EQ(receiver_->query_committed(tiny_keys(2, 1), 2 * kLease).size(), 0U)
      << "a query's pin is not extended";
  EXPECT_THAT(ask(request(4, 2, 1)).states, ElementsAre(ReadState::kMiss)) << "it is for readers";
  ASSERT_TRUE(receiver_->claims().pin(tiny_key(1), world_.scheduler.now() + kLease));
  EXPECT_THAT(ask(request(3, 0, 2)).states, ElementsAre(ReadState::kMiss, ReadState::kHit))
      << "what somebody else holds anyway";
  release(3);
  receiver_->claims().unpin(tiny_key(1));
  release(1);
  EXPECT_EQ(receiver_->stats().waiting, 1U) << "for the query's page";
  world_.scheduler.run_for(kLease);
  EXPECT_EQ(receiver_->stats().waiting, 0U);
  EXPECT_EQ(receiver_.pages().reserved, 4U);
}

TEST_F(ReadsTest, APromisedPageIsNoHit) {
  put(0, 4);
  SenderNode writer(world_, 8);
  ASSERT_TRUE(writer.open(receiver_, "promised", tiny_keys(10, 4)).ok());
  EXPECT_THAT(ask(request(1, 0, 1)).states, ElementsAre(ReadState::kMiss));
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(ReadsTest, AQueryPinsOnceHoweverOftenItIsAsked) {
  put(0, 2);
  const auto keys = tiny_keys(0, 3);
  const auto found = receiver_->query_committed(keys, kLease);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[1].key, tiny_key(1));
  EXPECT_EQ(receiver_.pages().held, 2U);
  world_.scheduler.run_for(kLease / 2);
  EXPECT_EQ(receiver_->query_committed(tiny_keys(0, 1), kLease).size(), 1U);
  EXPECT_FALSE(receiver_->claims().unpin(tiny_key(0))) << "that is no pin of the user's";
  world_.scheduler.run_for(kLease / 2);
  EXPECT_EQ(receiver_.pages().held, 1U) << "the one that was asked for again";
  world_.scheduler.run_for(kLease / 2);
  EXPECT_EQ(receiver_.pages().held, 0U);
}

TEST(Query, AChunkThatWasFoundDamagedIsNotToldOf) {
  World world;
  auto config = ReceiverNode::default_config();
  config.integrity = Integrity::kParanoid;
  receiver::FaultHooks faults;
  faults.after_commit = [](std::span<std::byte> chunk) { chunk[0] ^= std::byte{1}; };
  ReceiverNode receiver(world, "r", 4, config, std::move(faults));
  SenderNode sender(world, 8);
  const auto put = sender.submit(receiver, sender.spec("put", 0, 1));
  ASSERT_TRUE(world.scheduler.run_until([&] { return put->done(); }));
  EXPECT_EQ(receiver->query_committed(tiny_keys(0, 1), kLease).size(), 1U);
  EXPECT_TRUE(absl::IsDataLoss(receiver.claim("put", tiny_keys(0, 1)).status()));
  EXPECT_EQ(receiver->query_committed(tiny_keys(0, 1), kLease).size(), 0U) << "condemned";
  EXPECT_EQ(receiver.pages().held, 1U) << "yet pinned still";
  RawSender writer(world, receiver);
  writer.connect();
  ASSERT_EQ(writer.allocate(1, "again", 0, 1).baton->code, 0U);
  EXPECT_EQ(receiver->query_committed(tiny_keys(0, 1), kLease).size(), 0U) << "in flight";
  world.scheduler.run_for(kLease);
  EXPECT_EQ(receiver.pages().held, 0U);
  EXPECT_EQ(receiver->audit(), "");
}

TEST(ReadLimits, AReaderTakesNoMoreThanItsShare) {
  World world;
  auto config = ReceiverNode::default_config();
  config.max_peer_reads = 2;
  config.max_peer_chunks = 3;
  ReceiverNode receiver(world, "r", 4, config);
  {
    SenderNode sender(world, 8);
    const auto put = sender.submit(receiver, sender.spec("put", 0, 3));
    ASSERT_TRUE(world.scheduler.run_until([&] { return put->done(); }));
    ASSERT_TRUE(receiver.claim("put", tiny_keys(0, 3)).ok());
    world.scheduler.run_ready();
  }
  RawSender greedy(world, receiver, kWithReads);
  greedy.connect();
  const auto ask = [&](std::uint64_t id, std::uint64_t count) {
    greedy.send(wire::ReadRequest{greedy.parties(), id, tiny_keys(0, count), 1'000});
    return std::get<wire::ReadResponse>(greedy.next());
  };
  EXPECT_EQ(ask(1, 2).code, 0U);
  const auto too_large = ask(2, 2);
  EXPECT_EQ(too_large.code, static_cast<std::uint32_t>(StatusCode::kResourceExhausted));
  EXPECT_THAT(too_large.message, HasSubstr("pd_max_peer_chunks) is 3"));
  EXPECT_EQ(receiver.pages().held, 2U);
  EXPECT_EQ(ask(3, 1).code, 0U);
  EXPECT_THAT(ask(4, 1).message, HasSubstr("pd_max_peer_reads) is 2"));
  greedy.send(wire::ReadRelease{greedy.parties(), 3});
  EXPECT_EQ(std::get<wire::ReadReleaseAck>(greedy.next()).code, 0U);
  EXPECT_EQ(ask(5, 1).code, 0U) << "what was released counts no more";
}

}  // namespace
}  // namespace baton
