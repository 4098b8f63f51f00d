// What slow, wrong and too many LMCache senders must not cost the others (P3, P5, P8).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/stock_sender.h"

namespace baton::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using Flavour = StockSender::Flavour;

receiver::Config config() {
  receiver::Config config = ReceiverNode::default_config();
  config.poison_pages = true;
  config.claim_ttl = std::chrono::seconds(60);
  config.max_peer_requests = 3;
  return config;
}

class StockFaults : public ::testing::Test {
 protected:
  StockFaults() : receiver(world, "decoder", 8, config(), {}, StockPeers::kAllow) {}
  ~StockFaults() override { EXPECT_EQ(receiver->audit(), ""); }

  std::unique_ptr<StockSender> sender(const std::string& name) {
    auto made = std::make_unique<StockSender>(world, receiver, Flavour::kAsync, name);
    EXPECT_TRUE(made->shake_hands());
    return made;
  }
  bool get(const std::string& key) {
    std::optional<Status> result;
    receiver->get(key, world.scheduler.now() + std::chrono::seconds(1),
                  [&](const StatusOr<MemoryObj>& got) { result = got.status(); });
    return world.scheduler.run_until([&] { return result.has_value(); }) && result->ok();
  }

  World world;
  ReceiverNode receiver;
};

// ---- the copies that are thrown away -----------------------------------------------------------

class StockCopies : public StockFaults {
 protected:
  /// Two requests over one committed chunk; each sender has a copy to write, and is writing it.
  StockCopies() : one(sender("one")), two(sender("two")) {
    EXPECT_TRUE(one->put("r", 1, 1));
    EXPECT_TRUE(receiver.claim("r", tiny_keys(1, 1)).ok());
    const auto a = one->ask(one->alloc("a", 1, 1));
    const auto b = two->ask(two->alloc("b", 1, 1));
    EXPECT_THAT(a.remote_indexes, SizeIs(1));
    EXPECT_THAT(b.remote_indexes, SizeIs(1));
    world.stock.set_paused(true);
    late = one->start_write(a.remote_indexes.at(0), 98);
    EXPECT_EQ(receiver.pages().granted, 2U);
  }
  void expect_fenced_only_when_missed() {
    world.scheduler.run_for(std::chrono::seconds(70));
    EXPECT_EQ(receiver.pages().granted, 0U);
    EXPECT_EQ(receiver.pages().quarantined, 1U);
    EXPECT_EQ(receiver.plane().doors(), 2U);
    two->ask(two->alloc("large", 20, 8));
    world.scheduler.run_for(std::chrono::seconds(5));
    EXPECT_EQ(receiver.pages().quarantined, 0U);
    EXPECT_EQ(receiver.plane().doors(), 1U);
    world.stock.set_paused(false);
    world.scheduler.run_ready();
    ASSERT_TRUE(late->has_value());
    EXPECT_FALSE((*late)->ok()) << "it wrote into a page that is no longer its own";
  }

  std::unique_ptr<StockSender> one;
  std::unique_ptr<StockSender> two;
  std::shared_ptr<std::optional<Status>> late;
};

TEST_F(StockCopies, AreNotFreedByAKeyThatAnotherRequestGets) {
  EXPECT_TRUE(get(tiny_key(1)));  // For b; nothing says so.
  EXPECT_EQ(receiver.pages().granted, 2U) << "a's sender has not been released";
  EXPECT_TRUE(get(tiny_key(1)));
  EXPECT_EQ(receiver.pages().granted, 2U);
  EXPECT_TRUE(receiver.claim("b", tiny_keys(1, 1)).ok());
  EXPECT_EQ(receiver.pages().granted, 1U) << "b's own claim frees b's";
  EXPECT_EQ(receiver->stats().requests, 1U);
  expect_fenced_only_when_missed();
}

TEST_F(StockCopies, AreNotFreedByAClaimOfKeys) {
  EXPECT_TRUE(receiver.claim("of the sync flavour", tiny_keys(1, 1)).ok());
  EXPECT_TRUE(receiver.claim("of another", tiny_keys(1, 1)).ok());
  EXPECT_EQ(receiver.pages().granted, 2U);
  EXPECT_TRUE(receiver.claim("b", tiny_keys(1, 1)).ok());
  EXPECT_EQ(receiver.pages().granted, 1U);
  expect_fenced_only_when_missed();
}

// ---- what can't be read ------------------------------------------------------------------------

TEST_F(StockFaults, AHandshakeThatCantBeReadIsAnswered) {
  StockSender peer(world, receiver, Flavour::kAsync, "old");
  const std::string no_fields("\x81\xa4type\xb1NixlMemRegRequest", 24);
  EXPECT_EQ(peer.ask_init_raw(no_fields), wire::Message(wire::NixlInitResponse()));
  EXPECT_EQ(peer.ask_init_raw("rubbish"), wire::Message(wire::NixlInitResponse()));
  peer.ask_init(peer.init_request());
  EXPECT_EQ(receiver.plane().doors(), 1U);
  EXPECT_EQ(peer.ask_init_raw(no_fields), wire::Message(wire::NixlMemRegResponse()));
  world.scheduler.run_ready();
  EXPECT_EQ(receiver.plane().doors(), 0U) << "the refused one's agent is destroyed";
  EXPECT_EQ(receiver->stats().rejected_messages, 3U);
}

TEST_F(StockFaults, WhatHasNoBusinessOnTheInitPortIsAnswered) {
  StockSender peer(world, receiver, Flavour::kAsync, "lost");
  EXPECT_EQ(peer.ask_init(wire::CancelNotif{"r", {}, {}}), wire::Message(wire::NixlInitResponse()));
}

TEST_F(StockFaults, ABatonsRubbishIsNotAnswered) {
  std::size_t answers = 0;
  auto baton = world.network.connect_client(receiver.address().init_endpoint, "baton-0123-init-1",
                                            [&](std::string_view) { ++answers; });
  ASSERT_TRUE(baton.ok());
  ASSERT_TRUE((*baton)->send("rubbish").ok());
  world.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_EQ(receiver->stats().rejected_messages, 1U);
  EXPECT_EQ(answers, 0U);
}

// ---- pages that are missed ---------------------------------------------------------------------

TEST_F(StockFaults, ARequestThatCanNeverFitMissesNoPages) {
  const auto peer = sender("one");
  peer->ask(peer->alloc("r", 1, 1));
  peer->ask(wire::CancelNotif{"r", {}, {}});
  ASSERT_EQ(receiver.pages().quarantined, 1U);
  EXPECT_EQ(peer->ask(peer->alloc("huge", 10, 9)).remote_indexes, std::vector<std::int64_t>(9, -1));
  world.scheduler.run_for(std::chrono::seconds(10));
  EXPECT_EQ(receiver.pages().quarantined, 1U);
  EXPECT_EQ(receiver.plane().doors(), 1U) << "an innocent peer is fenced";
}

TEST_F(StockFaults, TooManyRequestsMissNoPages) {
  const auto peer = sender("one");
  peer->ask(peer->alloc("r", 1, 1));
  peer->ask(wire::CancelNotif{"r", {}, {}});
  for (std::uint64_t i = 0; i < 3; ++i) {
    EXPECT_THAT(peer->ask(peer->alloc("s" + std::to_string(i), 10 + i, 1)).remote_indexes,
                SizeIs(1));
  }
  EXPECT_THAT(peer->ask(peer->alloc("fourth", 20, 1)).remote_indexes, ElementsAre(-1));
  world.scheduler.run_for(std::chrono::seconds(10));
  EXPECT_EQ(receiver.pages().quarantined, 1U);
  EXPECT_EQ(receiver.plane().doors(), 1U);
}

// ---- too many peers ----------------------------------------------------------------------------

class StockCrowd : public StockFaults {
 protected:
  void crowd(int count) {
    for (int i = 0; i < count; ++i) {
      peers.push_back(sender(std::to_string(i)));
      world.scheduler.run_for(std::chrono::milliseconds(1));
    }
  }
  std::vector<std::unique_ptr<StockSender>> peers;
};

TEST_F(StockCrowd, WhoIsRefusedTakesNobodysPlace) {
  crowd(256);
  StockSender bad(world, receiver, Flavour::kAsync, "bad");
  EXPECT_EQ(bad.ask_init(wire::NixlInitRequest{"nonsense", {}}),
            wire::Message(wire::NixlInitResponse()));
  world.scheduler.run_ready();
  EXPECT_EQ(receiver.plane().doors(), 256U);
  EXPECT_TRUE(peers.front()->put("r", 1, 1));
}

TEST_F(StockCrowd, WhoIsOnlyIntroducedMakesRoomFirst) {
  crowd(255);
  StockSender half(world, receiver, Flavour::kAsync, "half");
  half.ask_init(half.init_request());
  EXPECT_EQ(receiver.plane().doors(), 256U);
  const auto newest = sender("newest");
  world.scheduler.run_ready();
  EXPECT_EQ(receiver.plane().doors(), 256U);
  EXPECT_TRUE(peers.front()->put("r", 1, 1)) << "it works, and the other had not begun";
  EXPECT_TRUE(newest->put("s", 2, 1));
}

}  // namespace
}  // namespace baton::testing
