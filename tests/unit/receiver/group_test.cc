// Two ranks of one decoder: admitted together, ended together.
// Promises: P2, P4, P5, P6, P7.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "tests/support/handoff.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

constexpr Duration kLease = std::chrono::seconds(10);  // the default

receiver::Config receiver_rank(std::uint32_t rank) {
  auto config = ReceiverNode::default_config();
  config.layout.world_size = 2;
  config.layout.worker_id = rank;
  config.group_leader = "inproc://r0-alloc";
  return config;
}

sender::Config sender_rank(std::uint32_t rank, std::uint32_t pages_ahead = 0) {
  auto config = SenderNode::default_config();
  config.layout.world_size = 2;
  config.layout.worker_id = rank;
  config.pages_ahead = pages_ahead;
  return config;
}

class GroupTest : public ::testing::Test {
 protected:
  explicit GroupTest(transport::LoopbackOptions options = {},
                     std::array<std::uint32_t, 2> pages = {4, 4}, std::uint32_t pages_ahead = 0)
      : world_(options),
        senders_{SenderNode(world_, 8, sender_rank(0, pages_ahead)),
                 SenderNode(world_, 8, sender_rank(1))} {
    start(0, pages[0]);
    start(1, pages[1]);
    world_.scheduler.run_for(std::chrono::milliseconds(100));
  }

  void start(std::uint32_t rank, std::uint32_t pages = 4) {
    receivers_[rank].emplace(world_, "r" + std::to_string(rank), pages, receiver_rank(rank));
  }
  void restart(std::uint32_t rank) {
    world_.hub.kill(receivers_[rank]->epoch());
    receivers_[rank].reset();
    start(rank);
  }
  receiver::Receiver& receiver(std::uint32_t rank) { return **receivers_[rank]; }
  receiver::ChunkPool::Counts pages(std::uint32_t rank) { return receivers_[rank]->pages(); }

  struct Opening {
    std::optional<StatusOr<std::shared_ptr<StagingReservation>>> result;
    bool ok() const { return result.has_value() && result->ok(); }
  };
  std::shared_ptr<Opening> open(std::uint32_t rank, const std::string& req_id, std::uint64_t first,
                                std::uint64_t count, Duration timeout = std::chrono::seconds(30)) {
    auto opening = std::make_shared<Opening>();
    senders_[rank]->open(
        {receivers_[rank]->address(), {req_id, 7}, tiny_keys(first, count), 0, timeout},
        [opening](auto result) { opening->result = std::move(result); });
    world_.scheduler.run_for(std::chrono::milliseconds(100));
    return opening;
  }
  std::shared_ptr<PutResult> put(std::uint32_t rank, const std::string& req_id, std::uint64_t first,
                                 std::uint64_t count) {
    auto spec = senders_[rank].spec(req_id, first, count);
    spec.attempt = 7;
    return senders_[rank].submit(*receivers_[rank], std::move(spec));
  }
  void expect_all_free() {
    world_.scheduler.run_for(2 * kLease);
    for (const std::uint32_t rank : {0U, 1U}) {
      receiver(rank).evict_all_retained();
      EXPECT_EQ(pages(rank).free, pages(rank).total) << "rank " << rank;
      EXPECT_EQ(pages(rank).reserved, 0U) << "rank " << rank;
      EXPECT_EQ(receiver(rank).stats().requests, 0U) << "rank " << rank;
      EXPECT_EQ(receiver(rank).audit(), "");
    }
  }

  World world_;
  std::array<std::optional<ReceiverNode>, 2> receivers_;
  std::array<SenderNode, 2> senders_;
};

TEST_F(GroupTest, NoRankIsAdmittedBeforeAllHaveOpened) {
  for (const std::uint32_t first : {0U, 1U}) {
    const std::string req_id = "req" + std::to_string(first);
    const auto one = open(first, req_id, 0, 3);
    world_.scheduler.run_for(std::chrono::seconds(5));
    EXPECT_FALSE(one->result.has_value());
    EXPECT_EQ(pages(0).reserved + pages(1).reserved, 0U) << "it waits holding nothing";
    const auto other = open(1 - first, req_id, 0, 3);
    EXPECT_TRUE(one->ok());
    EXPECT_TRUE(other->ok());
    EXPECT_EQ(pages(0).reserved, 3U);
    EXPECT_EQ(pages(1).reserved, 3U);
    EXPECT_TRUE(senders_[0]->cancel(req_id, absl::CancelledError(std::string("test"))));
    world_.scheduler.run_for(std::chrono::milliseconds(100));
    EXPECT_EQ(pages(1).reserved, 0U) << "it ended on the other rank too";
  }
  expect_all_free();
}

TEST_F(GroupTest, RequestsThatComeInOppositeOrdersDoNotDeadlock) {
  const auto a0 = open(0, "a", 0, 3);
  const auto b1 = open(1, "b", 10, 3);
  const auto b0 = open(0, "b", 10, 3);
  const auto a1 = open(1, "a", 0, 3);
  EXPECT_NE(a0->ok(), b0->ok()) << "there is room for one";
  EXPECT_EQ(a0->ok(), a1->ok());
  EXPECT_EQ(b0->ok(), b1->ok());
  const std::string first = a0->ok() ? "a" : "b";
  senders_[0]->release({first, 7});
  senders_[1]->release({first, 7});
  world_.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_TRUE(a0->ok() && a1->ok() && b0->ok() && b1->ok());
  a0->result.reset();
  for (auto& sender : senders_) {
    sender->cancel("a", absl::CancelledError(std::string("test")));
    sender->cancel("b", absl::CancelledError(std::string("test")));
  }
  expect_all_free();
}

TEST_F(GroupTest, AFollowerWithoutRoomHoldsNobodysPages) {
  // Rank 1 has pages in use that rank 0 doesn't: of a request that was never opened.
  auto spec = senders_[1].spec("other", 20, 3);
  spec.is_last = false;
  spec.total_chunks = 3;
  const auto other = senders_[1].submit(*receivers_[1], std::move(spec));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return other->done(); }));
  const auto first = open(0, "req", 0, 3);
  const auto second = open(1, "req", 0, 3);
  world_.scheduler.run_for(std::chrono::seconds(6));
  EXPECT_FALSE(first->result.has_value());
  EXPECT_EQ(pages(0).reserved, 0U);
  EXPECT_TRUE(senders_[1]->cancel("other", absl::CancelledError(std::string("test"))));
  world_.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_TRUE(first->ok() && second->ok());
}

class GroupAheadTest : public GroupTest {
 protected:
  GroupAheadTest() : GroupTest({.maps_pages = true}, {7, 5}, 1) {}
};

TEST_F(GroupAheadTest, WhomAnotherRankHasNoRoomForHoldsUpNobody) {
  // The page ahead is not given back.
  world_.network.set_filter([](const control::Envelope& envelope) -> std::vector<Duration> {
    const auto message = wire::decode(envelope.payload, {});
    const auto* drain = std::get_if<wire::DrainNotif>(&*message);
    const bool gives_back = drain != nullptr && drain->put_id == 0;
    return gives_back ? std::vector<Duration>{} : std::vector<Duration>{Duration::zero()};
  });
  const auto open_on_both = [this](const std::string& req_id, std::uint64_t first,
                                   std::uint64_t count) {
    const auto one = open(0, req_id, first, count);
    const auto other = open(1, req_id, first, count);
    EXPECT_EQ(one->ok(), other->ok());
    return one->ok();
  };
  ASSERT_TRUE(open_on_both("held", 0, 3));
  ASSERT_EQ(pages(0).ahead, 1U);
  EXPECT_FALSE(open_on_both("big", 10, 3)) << "rank 1 has 2 pages left";
  EXPECT_TRUE(open_on_both("small", 20, 1));
  // Now rank 0 lacks for the big one nothing but the page ahead.
  EXPECT_TRUE(open_on_both("smaller", 30, 1));
}

TEST_F(GroupTest, ARequestThatIsNeverOpenedElsewhereEndsInTimeAndHoldsUpNobody) {
  const auto half = open(0, "half", 0, 3, std::chrono::seconds(20));
  const auto first = open(0, "whole", 10, 4);
  const auto second = open(1, "whole", 10, 4);
  EXPECT_TRUE(first->ok() && second->ok()) << "half doesn't stand in its way";
  world_.scheduler.run_for(std::chrono::seconds(21));
  ASSERT_TRUE(half->result.has_value());
  EXPECT_TRUE(absl::IsDeadlineExceeded(half->result->status())) << half->result->status();
  EXPECT_THAT(std::string(half->result->status().message()), HasSubstr("all ranks"));
}

TEST_F(GroupTest, HandsOffOnBothRanks) {
  const auto first = open(0, "req", 0, 3);
  const auto second = open(1, "req", 0, 3);
  ASSERT_TRUE(first->ok() && second->ok());
  const auto put0 = put(0, "req", 0, 3);
  const auto put1 = put(1, "req", 0, 3);
  ASSERT_TRUE(world_.scheduler.run_until([&] { return put0->done() && put1->done(); }));
  EXPECT_TRUE(put0->status().ok() && put1->status().ok());
  world_.scheduler.run_for(std::chrono::minutes(2));
  EXPECT_TRUE(receivers_[0]->claim("req", tiny_keys(0, 3)).ok());
  world_.scheduler.run_for(std::chrono::minutes(1));
  EXPECT_TRUE(receivers_[1]->claim("req", tiny_keys(0, 3)).ok())
      << "that rank 0 was claimed is no failure";
  expect_all_free();
}

TEST_F(GroupTest, ARankThatFailsEndsTheHoldsOfAll) {
  const auto first = open(0, "req", 0, 3);
  const auto second = open(1, "req", 0, 3);
  const auto put0 = put(0, "req", 0, 3);
  ASSERT_TRUE(world_.scheduler.run_until([&] { return put0->done(); }));
  ASSERT_EQ(pages(0).held, 3U);
  EXPECT_TRUE(senders_[1]->cancel("req", absl::CancelledError(std::string("client left"))));
  world_.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_EQ(pages(0).held, 0U);
  const auto claim = receivers_[0]->claim("req", tiny_keys(0, 3));
  EXPECT_TRUE(absl::IsAborted(claim.status())) << claim.status();
  EXPECT_THAT(std::string(claim.status().message()), HasSubstr("client left"));
  EXPECT_FALSE(open(0, "req", 0, 3)->ok()) << "the attempt is over on all ranks";
  expect_all_free();
}

TEST_F(GroupTest, ALateCopyForAClaimedAttemptEndsNothingElsewhere) {
  // A copy of rank 0's AllocRequest comes when rank 0 has been claimed and rank 1 has not.
  world_.network.set_filter([](const control::Envelope& envelope) -> std::vector<Duration> {
    const auto message = wire::decode(envelope.payload, {});
    return std::holds_alternative<wire::AllocRequest>(*message)
               ? std::vector<Duration>{Duration::zero(), std::chrono::seconds(3)}
               : std::vector<Duration>{Duration::zero()};
  });
  open(0, "req", 0, 3);
  open(1, "req", 0, 3);
  const auto put0 = put(0, "req", 0, 3);
  const auto put1 = put(1, "req", 0, 3);
  ASSERT_TRUE(world_.scheduler.run_until([&] { return put0->done() && put1->done(); }));
  EXPECT_TRUE(receivers_[0]->claim("req", tiny_keys(0, 3)).ok());
  world_.scheduler.run_for(std::chrono::seconds(5));
  const auto claim = receivers_[1]->claim("req", tiny_keys(0, 3));
  EXPECT_TRUE(claim.ok()) << claim.status();
}

TEST_F(GroupTest, ARequestThatOneRankRefusesFailsOnAllAtOnce) {
  const auto waits = open(0, "req", 0, 4);
  EXPECT_FALSE(waits->result.has_value());
  const auto refused = open(1, "req", 0, 5);  // More than the pool.
  ASSERT_TRUE(refused->result.has_value());
  world_.scheduler.run_for(std::chrono::milliseconds(100));
  ASSERT_TRUE(waits->result.has_value());
  EXPECT_THAT(std::string(waits->result->status().message()), HasSubstr("it can never fit"));
}

TEST_F(GroupTest, TwoSendersMustNotUseOneName) {
  open(0, "req", 0, 1);
  SenderNode other(world_, 8, sender_rank(0));
  std::optional<Status> second;
  other->open({receivers_[0]->address(), {"req", 7}, tiny_keys(9, 1), 0, std::chrono::seconds(9)},
              [&](auto result) { second = result.status(); });
  world_.scheduler.run_for(std::chrono::seconds(1));
  ASSERT_TRUE(second.has_value());
  EXPECT_TRUE(absl::IsAlreadyExists(*second)) << *second;
  EXPECT_TRUE(open(1, "req", 0, 1)->ok()) << "the first one is not concerned";
}

TEST_F(GroupTest, ALateJoinOfAFormerIncarnationIsIgnored) {
  const Epoch former = receivers_[1]->epoch();
  restart(1);
  world_.scheduler.run_for(2 * kLease);
  const auto first = open(0, "req", 0, 3);
  const auto second = open(1, "req", 0, 3);
  ASSERT_TRUE(first->ok() && second->ok());
  auto ghost = *world_.network.connect_client(
      "inproc://r0-alloc", "baton-" + former.hex() + "-9-group", [](std::string_view) {});
  ASSERT_TRUE(ghost->send(wire::encode(wire::GroupJoin{former, 2, 1, {}})).ok());
  world_.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_EQ(pages(0).reserved, 3U);
  EXPECT_EQ(pages(1).reserved, 3U);
}

TEST_F(GroupTest, APutThatIsRefusedAtOneRankEndsTheOther) {
  const auto put0 = put(0, "req", 0, 3);
  ASSERT_TRUE(world_.scheduler.run_until([&] { return put0->done(); }));
  ASSERT_TRUE(put0->status().ok());
  const auto put1 = put(1, "req", 0, 5);  // More than the pool.
  ASSERT_TRUE(world_.scheduler.run_until([&] { return put1->done(); }));
  EXPECT_FALSE(put1->status().ok());
  world_.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_EQ(pages(0).held, 0U);
  EXPECT_EQ(pages(0).retained, 3U);
}

TEST_F(GroupTest, AMemberThatRestartsEndsWhatLivesOnAll) {
  for (const std::uint32_t lost : {0U, 1U}) {
    const std::string req_id = "req" + std::to_string(lost);
    const auto first = open(0, req_id, 0, 3);
    const auto second = open(1, req_id, 0, 3);
    ASSERT_TRUE(first->ok() && second->ok());
    restart(lost);
    world_.scheduler.run_for(2 * kLease);
    EXPECT_EQ(pages(1 - lost).reserved, 0U) << "rank " << lost;
    const auto again0 = open(0, "again" + req_id, 0, 3);
    const auto again1 = open(1, "again" + req_id, 0, 3);
    world_.scheduler.run_for(kLease);
    EXPECT_TRUE(again0->ok() && again1->ok()) << "and the group serves on";
    for (auto& sender : senders_) {
      sender->cancel("again" + req_id, absl::CancelledError(std::string("test")));
    }
    world_.scheduler.run_for(kLease);
  }
}

TEST_F(GroupTest, WhatWaitsGoesOnWaitingForTheSuccessorOfAMember) {
  for (const std::uint32_t lost : {0U, 1U}) {
    const std::string req_id = "req" + std::to_string(lost);
    const auto waits = open(1 - lost, req_id, 0, 3);
    restart(lost);
    const auto early = open(lost, req_id, 0, 3);  // Perhaps before the others have met it.
    world_.scheduler.run_for(2 * kLease);
    EXPECT_TRUE(waits->ok() && early->ok()) << "rank " << lost << " restarted";
    for (auto& sender : senders_) {
      sender->cancel(req_id, absl::CancelledError(std::string("test")));
    }
    world_.scheduler.run_for(kLease);
  }
}

TEST_F(GroupTest, AMemberThatFallsSilentEndsWhatLivesOnAll) {
  const auto first = open(0, "req", 0, 3);
  const auto second = open(1, "req", 0, 3);
  ASSERT_TRUE(first->ok() && second->ok());
  world_.network.set_filter([](const control::Envelope& envelope) -> std::vector<Duration> {
    return envelope.client.find("group") != std::string_view::npos
               ? std::vector<Duration>{}
               : std::vector<Duration>{Duration::zero()};
  });
  world_.scheduler.run_for(2 * kLease);
  EXPECT_EQ(pages(0).reserved, 0U);
  EXPECT_EQ(pages(1).reserved, 0U);
}

TEST_F(GroupTest, ANodeThatIsNotOfTheGroupIsNotHeard) {
  const Epoch liar = Epoch::random();
  auto client = *world_.network.connect_client("inproc://r0-alloc", "baton-" + liar.hex() + "-x",
                                               [](std::string_view) {});
  const auto before = receiver(0).stats().rejected_messages;
  const auto send = [&](const wire::Message& message) {
    ASSERT_TRUE(client->send(wire::encode(message)).ok());
    world_.scheduler.run_for(std::chrono::milliseconds(100));
  };
  send(wire::GroupNotif{
      {liar, receivers_[0]->epoch()}, {"req", 7}, wire::GroupWord::kEnded, 0, 1, "a lie"});
  send(wire::GroupJoin{Epoch::random(), 2, 1, {}});
  EXPECT_EQ(receiver(0).stats().rejected_messages, before + 2);
  const auto first = open(0, "req", 0, 3);
  const auto second = open(1, "req", 0, 3);
  EXPECT_TRUE(first->ok() && second->ok());
}

/// One word of the group's is lost, or comes twice; everything that it decides is decided anyway.
class GroupWordTest
    : public GroupTest,
      public ::testing::WithParamInterface<std::tuple<wire::GroupWord, std::vector<Duration>>> {};

TEST_P(GroupWordTest, IsSaidAgainUntilItIsHeard) {
  const auto& [word, copies] = GetParam();
  bool treated = false;
  world_.network.set_filter([&](const control::Envelope& envelope) -> std::vector<Duration> {
    const auto message = wire::decode(envelope.payload, {});
    const auto* notif = std::get_if<wire::GroupNotif>(&*message);
    if (notif != nullptr && notif->word == word && !std::exchange(treated, true)) {
      return copies;
    }
    return {Duration::zero()};
  });
  // Rank 1 is full at first, so that every word is spoken.
  auto spec = senders_[1].spec("other", 20, 3, false);
  spec.total_chunks = 3;
  const auto other = senders_[1].submit(*receivers_[1], std::move(spec));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return other->done(); }));
  const auto first = open(0, "req", 0, 3);
  const auto second = open(1, "req", 0, 3);
  world_.scheduler.run_for(std::chrono::seconds(1));
  senders_[1]->cancel("other", absl::CancelledError(std::string("test")));
  world_.scheduler.run_for(kLease);
  EXPECT_TRUE(first->ok() && second->ok());
  senders_[1]->cancel("req", absl::CancelledError(std::string("test")));
  world_.scheduler.run_for(kLease);
  EXPECT_EQ(pages(0).reserved, 0U);
  EXPECT_TRUE(treated) << "it was never said";
  expect_all_free();
}

INSTANTIATE_TEST_SUITE_P(
    Words, GroupWordTest,
    ::testing::Combine(::testing::Values(wire::GroupWord::kOpened, wire::GroupWord::kReserve,
                                         wire::GroupWord::kReserved, wire::GroupWord::kRefused,
                                         wire::GroupWord::kWithdraw, wire::GroupWord::kAdmitted,
                                         wire::GroupWord::kEnded),
                       ::testing::Values(std::vector<Duration>{},
                                         std::vector<Duration>{Duration::zero(),
                                                               std::chrono::milliseconds(50)},
                                         std::vector<Duration>{std::chrono::seconds(4)})));

}  // namespace
}  // namespace baton
