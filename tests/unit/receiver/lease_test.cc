// Silence: of a sender, about a request, about a drain. And what comes twice.
// Promises: P3, P5, P6, P7, P8.
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

constexpr Duration kLease = std::chrono::seconds(10);  // the default
/// The receiver looks four times in a lease.
constexpr Duration kLatest = kLease * 5 / 4;

class LeaseTest : public ::testing::Test {
 protected:
  LeaseTest() { raw_.connect(); }

  std::uint32_t granted_page(std::uint64_t put_id, const std::string& req_id,
                             std::uint64_t key = 0) {
    const auto response = raw_.allocate(put_id, req_id, key, 1);
    EXPECT_EQ(response.baton->code, 0U) << response.baton->message;
    generation_ = response.baton->generations.at(0);
    return static_cast<std::uint32_t>(response.remote_indexes.at(0));
  }
  wire::HeartbeatAck beat(std::vector<wire::AttemptName> living) {
    raw_.send(wire::Heartbeat{raw_.parties(), ++beats_, std::move(living)});
    return std::get<wire::HeartbeatAck>(raw_.next());
  }
  void beat_for(Duration duration, const std::vector<wire::AttemptName>& living) {
    const TimePoint end = world_.scheduler.now() + duration;
    while (world_.scheduler.now() < end) {
      world_.scheduler.run_for(kLease / 4);
      beat(living);
    }
  }

  World world_;
  ReceiverNode receiver_{world_, "r", 4};
  RawSender raw_{world_, receiver_, {1, 2}};
  std::uint64_t generation_ = 0;
  std::uint64_t beats_ = 0;
};

TEST_F(LeaseTest, TheWelcomeSaysHowLongSilenceIsTrusted) {
  RawSender other(world_, receiver_, {1, 2});
  EXPECT_EQ(std::get<wire::Welcome>(other.shake_hands(other.hello())).lease_ms, 10'000U);
  RawSender old(world_, receiver_, {1, 1});
  EXPECT_EQ(std::get<wire::Welcome>(old.shake_hands(old.hello())).lease_ms, 0U);
}

TEST_F(LeaseTest, ASilentSenderLosesItsGrantsAndIsFenced) {
  const std::uint32_t page = granted_page(1, "req");
  world_.scheduler.run_for(kLease - std::chrono::milliseconds(100));
  EXPECT_EQ(receiver_.pages().granted, 1U) << "too early";
  world_.scheduler.run_for(kLatest - kLease + std::chrono::milliseconds(100));
  EXPECT_EQ(receiver_.pages().free, 4U);
  EXPECT_EQ(receiver_->stats().requests, 0U);
  EXPECT_EQ(receiver_->stats().peers, 0U);
  EXPECT_FALSE(raw_.write(page, generation_, 7).ok()) << "a late write came through";
}

TEST_F(LeaseTest, HeartbeatsRenewWhatTheyName) {
  granted_page(1, "req");
  beat_for(std::chrono::minutes(5), {{"req", 0}});
  EXPECT_EQ(receiver_.pages().granted, 1U);
}

TEST_F(LeaseTest, ARequestThatIsNotNamedEndsAndItsSenderIsTold) {
  const std::uint32_t page = granted_page(1, "req");
  granted_page(2, "other", 1);
  while (receiver_->stats().requests == 2) {
    world_.scheduler.run_for(kLease / 4);
    raw_.send(wire::Heartbeat{raw_.parties(), ++beats_, {{"other", 0}}});
  }
  bool told = false;
  while (!raw_.quiet()) {
    const auto message = raw_.next();
    if (const auto* end = std::get_if<wire::EndNotif>(&message)) {
      told = true;
      EXPECT_EQ(end->req_id, "req");
      EXPECT_THAT(end->message, HasSubstr("pd_lease_ms"));
    }
  }
  EXPECT_TRUE(told);
  EXPECT_EQ(receiver_.pages().quarantined, 1U) << "it has not drained yet";
  raw_.send(wire::DrainNotif{raw_.parties(), 1, {page}, {generation_ - 1}, 1});
  EXPECT_EQ(receiver_.pages().quarantined, 0U);
  EXPECT_EQ(receiver_.pages().granted, 1U) << "the other one lives on";
}

TEST_F(LeaseTest, WhoBeatsButNeverDrainsIsFenced) {
  const std::uint32_t page = granted_page(1, "req");
  EXPECT_TRUE(receiver_->cancel_request("req"));
  EXPECT_EQ(receiver_.pages().quarantined, 1U);
  raw_.next();  // The EndNotif.
  world_.scheduler.run_for(kLease / 2);
  const auto reminder = std::get<wire::DrainRequest>(raw_.next());
  EXPECT_EQ(reminder.put_id, 1U);
  EXPECT_EQ(reminder.pages, std::vector{page});
  EXPECT_EQ(reminder.generations, std::vector{generation_});
  beat({});
  EXPECT_EQ(receiver_.pages().quarantined, 1U) << "too early";
  world_.scheduler.run_for(kLease / 2);
  beat({});
  EXPECT_EQ(receiver_.pages().quarantined, 1U) << "still too early";
  world_.scheduler.run_for(kLease / 4);
  EXPECT_EQ(receiver_.pages().free, 4U);
  EXPECT_FALSE(raw_.write(page, generation_, 7).ok());
}

TEST_F(LeaseTest, CancelAtTheReceiverTellsTheSenderAndWaitsForItsDrain) {
  const std::uint32_t page = granted_page(1, "req");
  EXPECT_TRUE(receiver_->cancel_request("req"));
  EXPECT_FALSE(receiver_->cancel_request("req"));
  const auto notif = std::get<wire::EndNotif>(raw_.next());
  EXPECT_EQ(notif.req_id, "req");
  EXPECT_EQ(notif.code, static_cast<std::uint32_t>(StatusCode::kCancelled));
  EXPECT_EQ(receiver_.pages().quarantined, 1U);
  raw_.send(wire::DrainNotif{raw_.parties(), 1, {page}, {generation_}, 9});
  EXPECT_EQ(std::get<wire::DrainAck>(raw_.next()).sequence, 9U);
  EXPECT_EQ(receiver_.pages().free, 4U);
}

TEST_F(LeaseTest, AHeartbeatSaysWhatDoesNotLiveHere) {
  granted_page(1, "req");
  const auto ack = beat({{"req", 0}, {"req", 1}, {"unheard-of", 0}});
  EXPECT_THAT(ack.unknown,
              ElementsAre(wire::AttemptName{"req", 1}, wire::AttemptName{"unheard-of", 0}));
}

TEST_F(LeaseTest, AClaimedRequestIsNoStrangerToItsHeartbeat) {
  const std::uint32_t page = granted_page(1, "req");
  ASSERT_TRUE(raw_.write(page, generation_, 7).ok());
  ASSERT_EQ(raw_.commit_code(raw_.commit(1, page, generation_, 7)), 0U);
  ASSERT_TRUE(receiver_.claim("req", tiny_keys(0, 1)).ok());
  EXPECT_EQ(receiver_->stats().requests, 0U);
  EXPECT_THAT(beat({{"req", 0}}).unknown, IsEmpty());
}

TEST_F(LeaseTest, AnotherIncarnationsHeartbeatRenewsNothing) {
  granted_page(1, "req");
  for (int i = 0; i < 5; ++i) {
    world_.scheduler.run_for(kLease / 4);
    auto parties = raw_.parties();
    parties.receiver_epoch = Epoch::random();
    raw_.send(wire::Heartbeat{parties, 1, {{"req", 0}}});
    EXPECT_NE(std::get<wire::HeartbeatAck>(raw_.next()).code, 0U);
  }
  EXPECT_EQ(receiver_.pages().free, 4U);
}

TEST_F(LeaseTest, APeerOfVersionOneHasTheTimeOfAClaim) {
  RawSender old(world_, receiver_, {1, 1});
  old.connect();
  ASSERT_EQ(old.allocate(1, "req", 0, 1).baton->code, 0U);
  world_.scheduler.run_for(std::chrono::seconds(299));  // pd_claim_ttl_ms is 300 s.
  EXPECT_EQ(receiver_.pages().granted, 1U);
  world_.scheduler.run_for(std::chrono::seconds(5));
  EXPECT_EQ(receiver_.pages().quarantined, 1U);
  EXPECT_TRUE(old.quiet()) << "it would not understand an EndNotif";
  world_.scheduler.run_for(std::chrono::seconds(290));
  EXPECT_EQ(receiver_.pages().quarantined, 1U);
  world_.scheduler.run_for(std::chrono::seconds(30));
  EXPECT_EQ(receiver_.pages().free, 4U) << "fenced";
}

TEST_F(LeaseTest, RequestsThatComeAgainAreAnsweredAgainAndDoNothingTwice) {
  const wire::OpenRequest open{raw_.parties(), "req", 0, tiny_keys(0, 2), 0, 1'000};
  raw_.send(open);
  raw_.send(open);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(std::get<wire::OpenResponse>(raw_.next()).code, 0U);
  }
  EXPECT_EQ(receiver_.pages().reserved, 2U);
  const auto first = raw_.allocate(1, "req", 0, 2);
  const auto second = raw_.allocate(1, "req", 0, 2);
  EXPECT_EQ(first, second);
  EXPECT_EQ(receiver_.pages().granted, 2U);
  const auto page = static_cast<std::uint32_t>(first.remote_indexes[0]);
  ASSERT_TRUE(raw_.write(page, first.baton->generations[0], 7).ok());
  const auto commit = raw_.commit(1, page, first.baton->generations[0], 7);
  EXPECT_EQ(raw_.commit_code(commit), 0U);
  EXPECT_EQ(raw_.commit_code(commit), 0U);
  EXPECT_EQ(receiver_.pages().held, 1U);
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(LeaseTest, AMessageThatComesAfterTheEndDoesNotBringTheRequestBack) {
  const std::uint32_t page = granted_page(1, "req");
  ASSERT_TRUE(raw_.write(page, generation_, 7).ok());
  ASSERT_EQ(raw_.commit_code(raw_.commit(1, page, generation_, 7)), 0U);
  ASSERT_TRUE(receiver_.claim("req", tiny_keys(0, 1)).ok());
  const auto again = raw_.allocate(1, "req", 0, 1);
  EXPECT_EQ(again.baton->code, static_cast<std::uint32_t>(StatusCode::kAborted));
  EXPECT_THAT(again.baton->message, HasSubstr("it was claimed"));
  raw_.send(wire::OpenRequest{raw_.parties(), "req", 0, tiny_keys(0, 1), 0, 1'000});
  EXPECT_NE(std::get<wire::OpenResponse>(raw_.next()).code, 0U);
  EXPECT_EQ(receiver_->stats().requests, 0U);
}

TEST(PeerLimits, OneSenderTakesNoMoreThanItsShare) {
  World world;
  auto config = ReceiverNode::default_config();
  config.max_peer_requests = 2;
  config.max_peer_chunks = 3;
  ReceiverNode receiver(world, "r", 8, config);
  RawSender greedy(world, receiver);
  greedy.connect();
  ASSERT_EQ(greedy.allocate(1, "a", 0, 2).baton->code, 0U);
  const auto too_large = greedy.allocate(2, "b", 2, 2);
  EXPECT_EQ(too_large.baton->code, static_cast<std::uint32_t>(StatusCode::kResourceExhausted));
  EXPECT_THAT(too_large.baton->message, HasSubstr("pd_max_peer_chunks) is 3"));
  ASSERT_EQ(greedy.allocate(3, "c", 4, 1).baton->code, 0U);
  greedy.send(wire::OpenRequest{greedy.parties(), "d", 0, tiny_keys(9, 1), 0, 1'000});
  EXPECT_THAT(std::get<wire::OpenResponse>(greedy.next()).message,
              HasSubstr("pd_max_peer_requests) is 2"));
  RawSender other(world, receiver);
  other.connect();
  EXPECT_EQ(other.allocate(1, "a", 5, 2).baton->code, 0U) << "the others are not concerned";
  greedy.send(wire::ReleaseNotif{greedy.parties(), "c", 0});
  EXPECT_EQ(greedy.allocate(4, "e", 7, 1).baton->code, 0U) << "what ended counts no more";
}

}  // namespace
}  // namespace baton
