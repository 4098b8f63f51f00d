// Receivers that die, restart or fall silent, and messages that are lost or come twice.
// Promises: P2, P5, P6, P7.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "tests/support/handoff.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

class RestartTest : public ::testing::Test {
 protected:
  void run_to_end(const std::shared_ptr<PutResult>& put) {
    ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
  }
  /// The process is gone, and a new one listens on the same ports.
  void restart(std::optional<ReceiverNode>& receiver, std::uint32_t pages = 8) {
    world_.hub.kill(receiver->epoch());
    receiver.reset();
    receiver.emplace(world_, "r", pages);
  }
  void expect_claimable(ReceiverNode& receiver, const std::string& req_id, std::uint64_t first,
                        std::uint64_t count) {
    const auto claim = receiver.claim(req_id, tiny_keys(first, count));
    ASSERT_TRUE(claim.ok()) << claim.status();
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto bytes = claim->chunks()[i].bytes();
      const auto expected = chunk_bytes(first + i, bytes.size());
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), bytes.begin())) << i;
    }
  }

  World world_{{.piece_bytes = 16, .piece_delay = std::chrono::milliseconds(1)}};
};

TEST_F(RestartTest, APutIsPutAgainToTheNextIncarnation) {
  std::optional<ReceiverNode> receiver(std::in_place, world_, "r", 8);
  SenderNode sender(world_, 8);
  const auto put = sender.submit(*receiver, sender.spec("req", 0, 3));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver->pages().granted == 3; }));
  restart(receiver);
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  EXPECT_EQ(put->stats().restarts, 1U);
  EXPECT_EQ(put->stats().chunks_sent, 3U);
  EXPECT_EQ(put->callbacks.size(), 3U) << "each key is told once";
  expect_claimable(*receiver, "req", 0, 3);
}

TEST_F(RestartTest, AllPutsOfARequestArePutAgainTogether) {
  std::optional<ReceiverNode> receiver(std::in_place, world_, "r", 8);
  SenderNode sender(world_, 8);
  auto first = sender.spec("req", 0, 2, false);
  first.total_chunks = 4;
  const auto early = sender.submit(*receiver, std::move(first));
  const auto late = sender.submit(*receiver, sender.spec("req", 2, 2));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver->pages().granted == 4; }));
  restart(receiver);
  run_to_end(early);
  run_to_end(late);
  EXPECT_TRUE(early->status().ok()) << early->status();
  ASSERT_TRUE(late->status().ok()) << late->status();
  expect_claimable(*receiver, "req", 0, 4);
}

TEST_F(RestartTest, ARequestOfWhichAPutHasEndedFailsAsAWhole) {
  std::optional<ReceiverNode> receiver(std::in_place, world_, "r", 8);
  SenderNode sender(world_, 8);
  auto first = sender.spec("req", 0, 2, false);
  first.total_chunks = 4;
  const auto ended = sender.submit(*receiver, std::move(first));
  run_to_end(ended);
  ASSERT_TRUE(ended->status().ok()) << ended->status();
  const auto put = sender.submit(*receiver, sender.spec("req", 2, 2));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver->pages().granted == 2; }));
  restart(receiver);
  run_to_end(put);
  EXPECT_TRUE(absl::IsUnavailable(put->status())) << put->status();
  EXPECT_EQ(receiver->pages().free, 8U);
  EXPECT_EQ(sender.staging().counts().free, 8U);
}

TEST_F(RestartTest, AnOpenedRequestSurvivesARestartBeforeItsPuts) {
  std::optional<ReceiverNode> receiver(std::in_place, world_, "r", 8);
  SenderNode sender(world_, 8);
  const auto opened = sender.open(*receiver, "req", tiny_keys(0, 4));
  ASSERT_TRUE(opened.ok()) << opened.status();
  restart(receiver);
  world_.scheduler.run_for(std::chrono::seconds(30));  // Long enough for heartbeats and leases.
  auto spec = sender.spec("req", 0, 0, false);
  auto objects = (*opened)->batched_allocate(tiny_chunk(), 4);
  ASSERT_TRUE(objects.ok()) << objects.status();
  for (std::uint64_t i = 0; i < 4; ++i) {
    const auto bytes = chunk_bytes(i, 128);
    std::copy(bytes.begin(), bytes.end(), (*objects)[i].bytes().begin());
  }
  spec.keys = tiny_keys(0, 2);
  spec.objects = {(*objects)[0], (*objects)[1]};
  const auto first = sender.submit(*receiver, std::move(spec));
  run_to_end(first);
  ASSERT_TRUE(first->status().ok()) << first->status();
  world_.scheduler.run_for(std::chrono::seconds(30));
  auto last = sender.spec("req", 0, 0, true);
  last.keys = tiny_keys(2, 2);
  last.objects = {(*objects)[2], (*objects)[3]};
  const auto put = sender.submit(*receiver, std::move(last));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  expect_claimable(*receiver, "req", 0, 4);
}

TEST_F(RestartTest, ARequestThatWaitsForAdmissionAsksTheNextIncarnation) {
  std::optional<ReceiverNode> receiver(std::in_place, world_, "r", 2);
  SenderNode sender(world_, 8);
  const auto holder = sender.open(*receiver, "holder", tiny_keys(0, 2));
  ASSERT_TRUE(holder.ok());
  bool admitted = false;
  sender->open({receiver->address(), {"waiter", 0}, tiny_keys(2, 2), 0, std::chrono::seconds(20)},
               [&](const auto& result) { admitted = result.ok(); });
  world_.scheduler.run_for(std::chrono::seconds(1));
  ASSERT_EQ((*receiver)->stats().waiting, 1U);
  restart(receiver, 2);
  world_.scheduler.run_for(std::chrono::seconds(5));
  EXPECT_TRUE(admitted) << "nobody holds pages there";
}

TEST_F(RestartTest, PutsToADeadReceiverFailInTimeWhileOthersGoOn) {
  std::optional<ReceiverNode> dead(std::in_place, world_, "r", 8);
  ReceiverNode other(world_, "other", 8);
  SenderNode sender(world_, 12);
  const auto put = sender.submit(*dead, sender.spec("req", 0, 3));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return dead->pages().granted == 3; }));
  const TimePoint start = world_.scheduler.now();
  world_.hub.kill(dead->epoch());
  dead.reset();
  const auto fine = sender.submit(other, sender.spec("fine", 10, 3));
  run_to_end(fine);
  EXPECT_TRUE(fine->status().ok()) << fine->status();
  EXPECT_FALSE(put->done()) << "it waits for a restart";
  run_to_end(put);
  EXPECT_TRUE(absl::IsUnavailable(put->status())) << put->status();
  EXPECT_THAT(std::string(put->status().message()), HasSubstr("it did not come back"));
  EXPECT_LE(world_.scheduler.now() - start, std::chrono::seconds(6));
  EXPECT_EQ(sender.staging().counts().free, 12U);
}

TEST_F(RestartTest, AReceiverThatFallsSilentIsFoundByItsLease) {
  ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 8);
  const auto opened = sender.open(receiver, "req", tiny_keys(0, 2));
  ASSERT_TRUE(opened.ok());
  ASSERT_EQ(sender->transports_in_use().size(), 1U);
  world_.network.set_filter([](const control::Envelope& envelope) -> std::vector<Duration> {
    return envelope.kind == control::Envelope::Kind::kToClient
               ? std::vector<Duration>{}
               : std::vector<Duration>{Duration::zero()};
  });
  world_.scheduler.run_for(std::chrono::seconds(13));
  EXPECT_EQ(sender->transports_in_use().size(), 0U);
  EXPECT_EQ(receiver.pages().reserved, 0U) << "the receiver saw the connection end";
}

TEST_F(RestartTest, AnEndThatWasNotHeardOfIsLearntFromTheNextHeartbeat) {
  ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 8);
  auto first = sender.spec("req", 0, 2, false);
  first.total_chunks = 4;
  run_to_end(sender.submit(receiver, std::move(first)));
  ASSERT_EQ(sender->stats().requests, 1U);
  world_.network.set_filter([](const control::Envelope& envelope) -> std::vector<Duration> {
    const auto message = wire::decode(envelope.payload, {});
    return std::holds_alternative<wire::EndNotif>(*message)
               ? std::vector<Duration>{}
               : std::vector<Duration>{Duration::zero()};
  });
  EXPECT_TRUE(receiver->cancel_request("req"));
  world_.scheduler.run_for(std::chrono::seconds(3));
  EXPECT_EQ(sender->stats().requests, 0U);
  const auto late = sender.submit(receiver, sender.spec("req", 2, 2));
  run_to_end(late);
  EXPECT_THAT(std::string(late->status().message()), HasSubstr("failed before"));
}

TEST_F(RestartTest, IdleLinksStayReady) {
  ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 8);
  run_to_end(sender.submit(receiver, sender.spec("req", 0, 1)));
  world_.scheduler.run_for(std::chrono::minutes(10));
  EXPECT_EQ(sender->transports_in_use().size(), 1U);
  EXPECT_EQ(receiver->stats().peers, 1U);
}

TEST_F(RestartTest, ALongRequestOutlivesManyLeases) {
  ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 8);
  auto first = sender.spec("req", 0, 2, false);
  first.total_chunks = 4;
  run_to_end(sender.submit(receiver, std::move(first)));
  world_.scheduler.run_for(std::chrono::seconds(100));  // Below pd_request_idle_timeout_ms.
  const auto put = sender.submit(receiver, sender.spec("req", 2, 2));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  expect_claimable(receiver, "req", 0, 4);
}

TEST_F(RestartTest, TheLastPutDoesNotOvertakeAnEarlierOne) {
  ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 8);
  bool lost = false;
  world_.network.set_filter([&](const control::Envelope& envelope) -> std::vector<Duration> {
    const auto message = wire::decode(envelope.payload, {});
    if (std::holds_alternative<wire::AllocRequest>(*message) && !std::exchange(lost, true)) {
      return {};
    }
    return {Duration::zero()};
  });
  auto first = sender.spec("req", 0, 2, false);
  first.total_chunks = 4;
  const auto early = sender.submit(receiver, std::move(first));
  const auto late = sender.submit(receiver, sender.spec("req", 2, 2));
  run_to_end(early);
  run_to_end(late);
  EXPECT_TRUE(lost);
  EXPECT_TRUE(early->status().ok()) << early->status();
  ASSERT_TRUE(late->status().ok()) << late->status();
  expect_claimable(receiver, "req", 0, 4);
}

TEST_F(RestartTest, AGrantThatWasNeverHeardOfIsGivenBackWhenAskedFor) {
  ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 8);
  run_to_end(sender.submit(receiver, sender.spec("warm", 20, 1)));
  world_.network.set_filter([](const control::Envelope& envelope) -> std::vector<Duration> {
    const auto message = wire::decode(envelope.payload, {});
    return std::holds_alternative<wire::AllocResponse>(*message)
               ? std::vector<Duration>{}
               : std::vector<Duration>{Duration::zero()};
  });
  auto spec = sender.spec("req", 0, 3);
  spec.timeout = std::chrono::milliseconds(500);
  const auto put = sender.submit(receiver, std::move(spec));
  run_to_end(put);
  EXPECT_EQ(receiver.pages().quarantined, 3U);
  world_.scheduler.run_for(std::chrono::seconds(8));
  EXPECT_EQ(receiver.pages().quarantined, 0U) << "the sender was asked";
  EXPECT_EQ(sender->transports_in_use().size(), 1U) << "and kept its connection";
}

TEST_F(RestartTest, ARepeatedRefusalAndALateWelcomeDoNoHarm) {
  // A receiver that says "try again" twice, and then welcomes. By hand: ours would not.
  ReceiverNode receiver(world_, "real", 8);
  const auto real = *world_.network.connect_client(receiver.address().init_endpoint, "unused-x",
                                                   [](std::string_view) {});
  auto init = *world_.network.bind_server("inproc://liar-init",
                                          [](const control::Route&, std::string_view) {});
  control::Route from;
  init = nullptr;
  init = *world_.network.bind_server(
      "inproc://liar-init",
      [&from](const control::Route& route, std::string_view) { from = route; });
  auto alloc = *world_.network.bind_server("inproc://liar-alloc",
                                           [](const control::Route&, std::string_view) {});
  SenderNode sender(world_, 8);
  auto put = std::make_shared<PutResult>();
  put->state = std::make_shared<detail::PutState>(world_.scheduler);
  sender->submit({"inproc://liar-init", "inproc://liar-alloc"}, sender.spec("req", 0, 1),
                 put->state);
  ASSERT_TRUE(world_.scheduler.run_until([&] { return !from.empty(); }));
  const auto say = [&](const wire::Message& inner) {
    wire::NixlInitResponse response;
    response.baton = wire::encode(inner);
    ASSERT_TRUE(init->send(from, wire::encode(response)).ok());
    world_.scheduler.run_ready();
  };
  const wire::Refusal again{static_cast<std::uint32_t>(StatusCode::kUnavailable), "try again"};
  say(again);
  say(again);
  wire::Welcome welcome;
  welcome.version = 2;
  welcome.epoch = Epoch::random();
  welcome.page_bytes = 4096;
  welcome.page_count = 1;
  welcome.max_keys = 10;
  welcome.max_message_bytes = 10'000;
  welcome.transport = "loopback";
  welcome.ticket = "nonsense";
  say(welcome);
  run_to_end(put);
  EXPECT_FALSE(put->status().ok());
  world_.scheduler.run_for(std::chrono::seconds(1));  // The retry timers, if any are left.
  EXPECT_EQ(sender.staging().counts().free, 8U);
}

/// What happens to the first message of each kind.
class LossyTest : public RestartTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void treat_first(const std::string& type, std::vector<Duration> copies) {
    world_.network.set_filter(
        [this, type, copies](const control::Envelope& envelope) -> std::vector<Duration> {
          const auto message = wire::decode(envelope.payload, {});
          if (!treated_ && message.ok() && wire::type_name(*message) == type) {
            treated_ = true;
            return copies;
          }
          return {Duration::zero()};
        });
  }
  /// a writes slowly, b waits for a's chunks, a is cancelled if `cancel`, b takes over.
  void hand_off(bool cancel) {
    ReceiverNode receiver(world_, "r", 12);
    SenderNode a(world_, 8);
    SenderNode b(world_, 8);
    const auto opened = a.open(receiver, "a", tiny_keys(0, 2));
    ASSERT_TRUE(opened.ok()) << opened.status();
    auto spec = a.spec("a", 0, 2);
    const auto from_a = a.submit(receiver, std::move(spec));
    ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver.pages().granted == 2; }));
    const auto from_b = b.submit(receiver, b.spec("b", 0, 3));
    ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver->stats().requests == 2; }));
    if (cancel) {
      a->cancel("a", absl::CancelledError(std::string("test")));
    }
    run_to_end(from_a);
    run_to_end(from_b);
    EXPECT_EQ(from_a->status().ok(), !cancel) << from_a->status();
    ASSERT_TRUE(from_b->status().ok()) << from_b->status();
    expect_claimable(receiver, "b", 0, 3);
    world_.scheduler.run_for(std::chrono::seconds(30));
    EXPECT_TRUE(treated_) << "there was no such message";
    EXPECT_EQ(receiver.pages().quarantined, 0U);
    EXPECT_EQ(receiver.pages().granted, 0U);
    EXPECT_EQ(receiver->audit(), "");
    EXPECT_EQ(b.staging().counts().free, 8U);
  }
  bool is_for_cancel() const {
    return GetParam() == "CancelNotif" || GetParam() == "BatonDrainNotif" ||
           GetParam() == "BatonDrainAck";
  }

  bool treated_ = false;
};

TEST_P(LossyTest, LostOnceAndNothingIsLost) {
  treat_first(GetParam(), {});
  hand_off(is_for_cancel());
}

TEST_P(LossyTest, ComesTwiceAndNothingHappensTwice) {
  treat_first(GetParam(), {Duration::zero(), std::chrono::milliseconds(3)});
  hand_off(is_for_cancel());
}

TEST_P(LossyTest, ComesAgainMuchLater) {
  treat_first(GetParam(), {Duration::zero(), std::chrono::seconds(20)});
  hand_off(is_for_cancel());
}

INSTANTIATE_TEST_SUITE_P(Messages, LossyTest,
                         ::testing::Values("NixlInitRequest", "NixlInitResponse", "AllocRequest",
                                           "AllocResponse", "BatonOpenRequest", "BatonOpenResponse",
                                           "BatonCommitRequest", "BatonCommitResponse",
                                           "BatonChunkUpdate", "CancelNotif", "BatonDrainNotif",
                                           "BatonDrainAck", "BatonHeartbeat", "BatonHeartbeatAck"),
                         [](const auto& test) { return test.param; });

// ---- versions ----------------------------------------------------------------------------------

struct VersionCase {
  VersionRange sender;
  VersionRange receiver;
  std::uint32_t common;  // 0: none
};

class VersionTest : public RestartTest, public ::testing::WithParamInterface<VersionCase> {};

TEST_P(VersionTest, TheHighestCommonOneIsSpokenOrBothAreNamed) {
  const VersionCase& versions = GetParam();
  auto receiver_config = ReceiverNode::default_config();
  receiver_config.versions = versions.receiver;
  ReceiverNode receiver(world_, "r", 8, receiver_config);
  auto sender_config = SenderNode::default_config();
  sender_config.versions = versions.sender;
  SenderNode sender(world_, 8, sender_config);
  std::map<std::string, int> seen;
  std::uint32_t spoken = 0;
  world_.network.set_filter([&](const control::Envelope& envelope) -> std::vector<Duration> {
    const auto message = wire::decode(envelope.payload, {});
    ++seen[std::string(wire::type_name(*message))];
    if (const auto* response = std::get_if<wire::NixlInitResponse>(&*message)) {
      const auto inner = wire::decode(*response->baton, {});
      if (const auto* welcome = std::get_if<wire::Welcome>(&*inner)) {
        spoken = welcome->version;
      }
    }
    return {Duration::zero()};
  });
  const auto put = sender.submit(receiver, sender.spec("req", 0, 2));
  run_to_end(put);
  EXPECT_EQ(spoken, versions.common);
  if (versions.common == 0) {
    EXPECT_TRUE(absl::IsFailedPrecondition(put->status()));
    const auto range = [](VersionRange r) {
      return std::to_string(r.min) + " to " + std::to_string(r.max);
    };
    EXPECT_THAT(std::string(put->status().message()), HasSubstr(range(versions.sender)));
    EXPECT_THAT(std::string(put->status().message()), HasSubstr(range(versions.receiver)));
    return;
  }
  ASSERT_TRUE(put->status().ok()) << put->status();
  expect_claimable(receiver, "req", 0, 2);
  world_.scheduler.run_for(std::chrono::minutes(1));
  EXPECT_EQ(seen["BatonHeartbeat"] > 0, versions.common >= 2);
}

INSTANTIATE_TEST_SUITE_P(
    Pairs, VersionTest,
    ::testing::Values(VersionCase{{1, 1}, {1, 1}, 1}, VersionCase{{1, 1}, {1, 2}, 1},
                      VersionCase{{1, 2}, {1, 1}, 1}, VersionCase{{1, 2}, {1, 2}, 2},
                      VersionCase{{1, 2}, {2, 2}, 2}, VersionCase{{1, 1}, {2, 2}, 0},
                      VersionCase{{2, 2}, {1, 1}, 0}));

}  // namespace
}  // namespace baton
