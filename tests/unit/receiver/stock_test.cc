// LMCache's senders at a Baton receiver: the handshake, both flavours of AllocRequest, whose word
// commits, and that no page is granted again before its fence (P1, P3, P4, P6, P8).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "tests/support/stock_sender.h"

namespace baton::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Flavour = StockSender::Flavour;

receiver::Config config() {
  receiver::Config config = ReceiverNode::default_config();
  config.poison_pages = true;
  config.claim_ttl = std::chrono::seconds(60);
  return config;
}

class StockReceiver : public ::testing::TestWithParam<Flavour> {
 protected:
  explicit StockReceiver(std::uint32_t pages = 8)
      : receiver(world, "decoder", pages, config(), {}, StockPeers::kAllow) {}

  ~StockReceiver() override { EXPECT_EQ(receiver->audit(), ""); }

  std::unique_ptr<StockSender> sender(const std::string& name, Flavour flavour) {
    auto made = std::make_unique<StockSender>(world, receiver, flavour, name);
    EXPECT_TRUE(made->shake_hands());
    return made;
  }
  std::unique_ptr<StockSender> sender(const std::string& name = "one") {
    return sender(name, GetParam());
  }
  StatusOr<MemoryObj> get(const std::string& key) {
    std::optional<StatusOr<MemoryObj>> result;
    receiver->get(key, world.scheduler.now() + std::chrono::seconds(1),
                  [&](StatusOr<MemoryObj> got) { result = std::move(got); });
    EXPECT_TRUE(world.scheduler.run_until([&] { return result.has_value(); }));
    return std::move(*result);
  }
  void expect_bytes(const MemoryObj& object, std::uint64_t seed) {
    const auto bytes = chunk_bytes(seed, object.bytes().size());
    EXPECT_EQ(std::memcmp(object.bytes().data(), bytes.data(), bytes.size()), 0) << seed;
  }
  void expect_all_free() {
    world.scheduler.run_ready();
    receiver->evict_all_retained();
    world.scheduler.run_ready();
    EXPECT_EQ(receiver.pages().free, receiver.pages().total);
    EXPECT_EQ(receiver->stats().requests, 0U);
  }

  World world;
  ReceiverNode receiver;
};

INSTANTIATE_TEST_SUITE_P(Flavours, StockReceiver,
                         ::testing::Values(Flavour::kSync, Flavour::kAsync),
                         [](const auto& flavour) {
                           return flavour.param == Flavour::kSync ? "Sync" : "Async";
                         });

// ---- puts --------------------------------------------------------------------------------------

TEST_P(StockReceiver, ChunksArriveAndAreGot) {
  const auto peer = sender();
  ASSERT_TRUE(peer->put("r", 1, 3));
  for (std::uint64_t i = 1; i <= 3; ++i) {
    EXPECT_TRUE(receiver->contains(tiny_key(i)));
    const auto got = get(tiny_key(i));
    ASSERT_TRUE(got.ok()) << got.status();
    expect_bytes(*got, i);
  }
  expect_all_free();
}

TEST_P(StockReceiver, ARequestIsClaimedWhole) {
  const auto peer = sender();
  ASSERT_TRUE(peer->put("r", 1, 2));
  ASSERT_TRUE(peer->put("r", 3, 2));
  {
    const auto claim = receiver.claim("r", tiny_keys(1, 4));
    ASSERT_TRUE(claim.ok()) << claim.status();
    for (std::uint64_t i = 0; i < 4; ++i) {
      expect_bytes(claim->chunks()[i], i + 1);
    }
    EXPECT_EQ(receiver.pages().held, 4U);
  }
  expect_all_free();
}

TEST_P(StockReceiver, APartialLastChunkHasItsTokens) {
  const auto peer = sender();
  auto request = peer->alloc("r", 1, 1, 2);
  request.shape = {2, 1, 2, 8};  // LMCache says the first object's.
  const auto granted = peer->ask(request);
  ASSERT_THAT(granted.remote_indexes, SizeIs(1));
  ASSERT_TRUE(peer->write(granted.remote_indexes[0], 1).ok());
  const auto got = get(tiny_key(1));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->meta(), tiny_chunk(2));
}

TEST_P(StockReceiver, PagesAreNamedAsInTheListAndAsLongAsAChunk) {
  const auto peer = sender();
  ASSERT_THAT(peer->remote().descriptors, SizeIs(8));
  for (std::uint32_t page = 0; page < 8; ++page) {
    EXPECT_EQ(peer->remote().descriptors[page].address,
              reinterpret_cast<std::uint64_t>(receiver.buffer().page(page).data()));
    EXPECT_EQ(peer->remote().descriptors[page].length_bytes, 128U);
  }
}

// ---- P1: what commits --------------------------------------------------------------------------

TEST_P(StockReceiver, AQuestionBeforeTheGrantCommitsNothing) {
  const auto peer = sender();
  std::optional<StatusOr<Claim>> early;
  receiver->claim("r", tiny_keys(1, 1), world.scheduler.now() + std::chrono::seconds(5),
                  [&](StatusOr<Claim> claim) { early = std::move(claim); });
  world.scheduler.run_ready();
  const auto granted = peer->ask(peer->alloc("r", 1, 1));
  world.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_FALSE(early.has_value()) << "it would read what nobody has written";
  EXPECT_EQ(receiver.pages().granted, 1U);
  world.scheduler.run_for(std::chrono::seconds(10));
  ASSERT_TRUE(early.has_value());
  EXPECT_TRUE(absl::IsDeadlineExceeded(early->status())) << early->status();
  ASSERT_TRUE(peer->write(granted.remote_indexes[0], 1).ok());
  EXPECT_TRUE(receiver.claim("r", tiny_keys(1, 1)).ok());
}

TEST_P(StockReceiver, LookingUpCommitsNothingPinningDoes) {
  const auto peer = sender();
  ASSERT_TRUE(peer->put("r", 1, 1));
  EXPECT_TRUE(receiver->contains(tiny_key(1)));
  EXPECT_EQ(receiver.pages().granted, 1U);
  EXPECT_TRUE(receiver->pin(tiny_key(1), world.scheduler.now() + std::chrono::seconds(1)));
  EXPECT_EQ(receiver.pages().granted, 0U);
  EXPECT_EQ(receiver.pages().held, 1U);
}

TEST_P(StockReceiver, NobodyElseIsShownAChunkBeforeItIsAskedFor) {
  const auto peer = sender();
  ASSERT_TRUE(peer->put("r", 1, 1));
  std::optional<wire::CacheQueryResponse> shown;
  auto reader = world.network.connect_client(
      "inproc://decoder-query", "reader", [&](std::string_view payload) {
        shown = std::get<wire::CacheQueryResponse>(*wire::decode(payload, {}));
      });
  ASSERT_TRUE(reader.ok());
  const auto query = [&] {
    shown.reset();
    EXPECT_TRUE((*reader)->send(wire::encode(wire::CacheQueryRequest{tiny_keys(1, 2)})).ok());
    world.scheduler.run_until([&] { return shown.has_value(); });
    return *shown;
  };
  EXPECT_THAT(query().cached_keys, IsEmpty());
  SenderNode baton(world, 4);
  const auto waits = baton.submit(receiver, baton.spec("b", 1, 1));
  world.scheduler.run_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(waits->done()) << "the chunk is in flight";

  const auto got = get(tiny_key(1));
  ASSERT_TRUE(got.ok());
  EXPECT_THAT(query().cached_keys, ElementsAre(tiny_key(1)));
  EXPECT_THAT(shown->cached_indexes, SizeIs(1));
  world.scheduler.run_until([&] { return waits->done(); });
  EXPECT_TRUE(waits->status().ok()) << waits->status();
}

TEST_P(StockReceiver, AChunkThatIsShownStaysForALease) {
  const auto peer = sender();
  ASSERT_TRUE(peer->put("r", 1, 1));
  ASSERT_TRUE(get(tiny_key(1)).ok());
  bool answered = false;
  auto reader = world.network.connect_client("inproc://decoder-query", "reader",
                                             [&](std::string_view) { answered = true; });
  for (int i = 0; i < 3; ++i) {  // Asking often takes one hold.
    answered = false;
    ASSERT_TRUE((*reader)->send(wire::encode(wire::CacheQueryRequest{tiny_keys(1, 1)})).ok());
    ASSERT_TRUE(world.scheduler.run_until([&] { return answered; }));
  }
  world.scheduler.run_for(std::chrono::milliseconds(9'900));
  EXPECT_EQ(receiver->evict_all_retained(), 0U);
  world.scheduler.run_for(std::chrono::milliseconds(200));
  EXPECT_EQ(receiver->evict_all_retained(), 1U);
}

// ---- what is there, and what is in flight
// --------------------------------------------------------

TEST_P(StockReceiver, HitsAreLeftOutOrGetACopy) {
  const auto peer = sender();
  ASSERT_TRUE(peer->put("r", 1, 2));
  ASSERT_TRUE(receiver.claim("r", tiny_keys(1, 2)).ok());
  const auto granted = peer->ask(peer->alloc("s", 2, 2));
  if (peer->is_async()) {
    ASSERT_THAT(granted.remote_indexes, SizeIs(2));
    // What it writes for the hit lands elsewhere: the chunk that others may read is not touched.
    ASSERT_TRUE(peer->write(granted.remote_indexes[0], 99).ok());
    ASSERT_TRUE(peer->write(granted.remote_indexes[1], 3).ok());
  } else {
    EXPECT_THAT(granted.already_sent_indexes, ElementsAre(0));
    ASSERT_THAT(granted.remote_indexes, SizeIs(1));
    ASSERT_TRUE(peer->write(granted.remote_indexes[0], 3).ok());
  }
  EXPECT_EQ(receiver->evict_all_retained(), 1U) << "the hit is held, the other is not";
  const auto claim = receiver.claim("s", tiny_keys(2, 2));
  ASSERT_TRUE(claim.ok()) << claim.status();
  expect_bytes(claim->chunks()[0], 2);
  expect_bytes(claim->chunks()[1], 3);
  EXPECT_EQ(receiver.pages().granted, 0U);
  EXPECT_EQ(receiver.pages().held, 2U);
}

TEST_P(StockReceiver, AKeyInFlightIsNeverAlreadySent) {
  const auto peer = sender();
  const auto other = sender("two");
  peer->ask(peer->alloc("r", 1, 2));
  const auto refused = other->ask(other->alloc("s", 2, 2));
  EXPECT_THAT(refused.already_sent_indexes, IsEmpty());
  if (other->is_async()) {
    EXPECT_THAT(refused.remote_indexes, ElementsAre(-1, -1));
  } else {
    EXPECT_THAT(refused.remote_indexes, IsEmpty());
    EXPECT_TRUE(refused.sync_flavour);
  }
  EXPECT_EQ(receiver.pages().granted, 2U) << "nothing was taken for it";
}

TEST_P(StockReceiver, WhatDoesNotFitIsRefusedAtOnce) {
  const auto peer = sender();
  peer->ask(peer->alloc("r", 1, 5));
  const auto refused = peer->ask(peer->alloc("s", 10, 4));
  EXPECT_THAT(refused.already_sent_indexes, IsEmpty());
  EXPECT_EQ(refused.remote_indexes,
            peer->is_async() ? std::vector<std::int64_t>(4, -1) : std::vector<std::int64_t>());
  EXPECT_EQ(receiver.pages().granted, 5U);
  EXPECT_EQ(receiver.pages().reserved, 0U);
}

// ---- ends and fences
// -----------------------------------------------------------------------------

TEST_P(StockReceiver, WhatNobodyAsksForEndsAndWaitsForTheFence) {
  const auto peer = sender();
  const auto granted = peer->ask(peer->alloc("r", 1, 3));
  ASSERT_EQ(receiver.pages().granted, 3U);
  world.stock.set_paused(true);
  const auto late = peer->start_write(granted.remote_indexes[0], 1);
  world.scheduler.run_for(std::chrono::seconds(70));
  EXPECT_EQ(receiver.pages().granted, 0U);
  EXPECT_FALSE(receiver->contains(tiny_key(1)));
  // 3 of 8 pages are missed by now: the peer is fenced, and only then they are free.
  EXPECT_EQ(receiver.pages().quarantined, 0U);
  EXPECT_EQ(receiver.pages().free, 8U);
  EXPECT_EQ(receiver.plane().doors(), 0U);
  world.stock.set_paused(false);
  world.scheduler.run_ready();
  ASSERT_TRUE(late->has_value());
  EXPECT_FALSE((*late)->ok()) << "it wrote into a page that is no longer its own";
}

TEST_P(StockReceiver, PagesAreQuarantinedUntilTheFenceIsProven) {
  const auto peer = sender();
  const auto granted = peer->ask(peer->alloc("r", 1, 1));
  ASSERT_TRUE(receiver->cancel_request("r") == peer->is_async());
  world.scheduler.run_for(std::chrono::seconds(70));
  // One of 8: nobody misses it, and the peer lives on.
  EXPECT_EQ(receiver.pages().quarantined, 1U);
  EXPECT_EQ(receiver.plane().doors(), 1U);
  EXPECT_TRUE(peer->write(granted.remote_indexes[0], 1).ok());
  ASSERT_TRUE(peer->put("again", 5, 7));
  ASSERT_TRUE(receiver.claim("again", tiny_keys(5, 7)).ok());
  EXPECT_EQ(receiver.pages().quarantined, 1U);

  // A request that finds no room misses it.
  const auto refused = peer->ask(peer->alloc("large", 20, 8));
  EXPECT_THAT(refused.already_sent_indexes, IsEmpty());
  world.scheduler.run_for(std::chrono::seconds(5));
  EXPECT_EQ(receiver.pages().quarantined, 0U);
  EXPECT_EQ(receiver.plane().doors(), 0U);
  expect_all_free();
}

TEST_P(StockReceiver, AFencedPeerIsAnotherOneAfterwards) {
  const auto peer = sender();
  peer->ask(peer->alloc("r", 1, 3));
  world.scheduler.run_for(std::chrono::seconds(70));
  ASSERT_EQ(receiver.plane().doors(), 0U);
  const auto refused = peer->ask(peer->alloc("s", 1, 1));
  EXPECT_EQ(refused.remote_indexes,
            peer->is_async() ? std::vector<std::int64_t>{-1} : std::vector<std::int64_t>());
  const auto restarted = sender("restarted");
  EXPECT_TRUE(restarted->put("s", 1, 3));
  EXPECT_TRUE(receiver.claim("s", tiny_keys(1, 3)).ok());
}

class StockParties : public StockReceiver {};
INSTANTIATE_TEST_SUITE_P(Async, StockParties, ::testing::Values(Flavour::kAsync),
                         [](const auto&) { return "Only"; });

TEST_P(StockParties, AnAsyncPeersFenceIsItsOwn) {
  const auto bad = sender("bad");
  const auto good = sender("good");
  const auto sync = sender("sync", Flavour::kSync);
  ASSERT_TRUE(good->put("g", 10, 1));
  bad->ask(bad->alloc("r", 1, 3));
  world.scheduler.run_for(std::chrono::seconds(55));
  ASSERT_TRUE(get(tiny_key(10)).ok());
  world.scheduler.run_for(std::chrono::seconds(15));
  EXPECT_EQ(receiver.plane().doors(), 2U);
  EXPECT_TRUE(good->put("g2", 20, 1));
  EXPECT_TRUE(sync->put("", 30, 1));
}

TEST_P(StockParties, UnnamedPeersShareOneFence) {
  const auto first = sender("first", Flavour::kSync);
  const auto second = sender("second", Flavour::kSync);
  const auto named = sender("named");
  ASSERT_TRUE(named->put("n", 10, 1));
  first->ask(first->alloc("", 1, 3));
  world.scheduler.run_for(std::chrono::seconds(55));
  ASSERT_TRUE(get(tiny_key(10)).ok());
  world.scheduler.run_for(std::chrono::seconds(15));
  EXPECT_EQ(receiver.plane().doors(), 1U) << "whoever may have been granted the pages is fenced";
  EXPECT_FALSE(second->put("", 20, 1));
  EXPECT_TRUE(named->put("n2", 20, 1));
}

TEST_P(StockParties, CancelEndsTheRequestAndIsAnswered) {
  const auto peer = sender();
  peer->ask(peer->alloc("r", 1, 1));
  peer->ask(peer->alloc("other", 5, 1));
  const auto answer = peer->ask(wire::CancelNotif{"r", {}, {}});
  EXPECT_THAT(answer.remote_indexes, IsEmpty());
  EXPECT_FALSE(receiver->contains(tiny_key(1)));
  EXPECT_TRUE(receiver->contains(tiny_key(5)));
  EXPECT_EQ(receiver.pages().quarantined, 1U);
}

TEST_P(StockParties, AnothersRequestIsNotCancelled) {
  const auto peer = sender();
  const auto other = sender("two");
  peer->ask(peer->alloc("r", 1, 1));
  other->ask(other->alloc("s", 5, 1));
  other->ask(wire::CancelNotif{"r", tiny_keys(1, 1), {}});
  EXPECT_TRUE(receiver->contains(tiny_key(1)));
}

// ---- P8: bad input
// -------------------------------------------------------------------------------

TEST_P(StockReceiver, BadMetadataAreRefusedWithAnAnswer) {
  StockSender peer(world, receiver, GetParam(), "bad");
  for (const std::string metadata : {"", "nonsense", "metadata of nobody"}) {
    const auto answer =
        std::get<wire::NixlInitResponse>(peer.ask_init(wire::NixlInitRequest{metadata, {}}));
    EXPECT_EQ(answer, wire::NixlInitResponse());
    world.scheduler.run_ready();
    EXPECT_EQ(receiver.plane().doors(), 0U);
  }
  EXPECT_EQ(receiver.plane().opened(), 0U) << "an agent takes long to make";
}

TEST_P(StockReceiver, WhoGoesOnBringingBadMetadataIsCutOff) {
  StockSender peer(world, receiver, GetParam(), "bad");
  const wire::Message nonsense = wire::NixlInitRequest{"nonsense", {}};
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(peer.ask_init(nonsense), wire::Message(wire::NixlInitResponse()));
  }
  EXPECT_EQ(receiver->stats().cut_off, 0U);
  peer.send_init(nonsense);
  world.scheduler.run_ready();
  EXPECT_EQ(receiver->stats().cut_off, 1U);
  EXPECT_NE(sender("good"), nullptr);
}

TEST_P(StockReceiver, BadPagesAreRefusedWithAnAnswer) {
  const auto refused =
      [&](const std::string& name,
          const std::function<void(wire::NixlMemRegRequest&, wire::XferDlist&)>& break_it) {
        SCOPED_TRACE(name);
        StockSender peer(world, receiver, GetParam(), name);
        const auto welcome = std::get<wire::NixlInitResponse>(peer.ask_init(peer.init_request()));
        ASSERT_EQ(welcome.remote_agent_name, peer.agent());
        wire::NixlMemRegRequest request = peer.mem_reg_request(welcome.remote_agent_name);
        wire::XferDlist pages = peer.pages();
        const wire::XferDlist before = pages;
        break_it(request, pages);
        if (pages != before) {
          request.local_xfer_dlist_bytes = wire::encode_xfer_dlist(pages);
        }
        EXPECT_EQ(std::get<wire::NixlMemRegResponse>(peer.ask_init(request)),
                  wire::NixlMemRegResponse());
        world.scheduler.run_ready();
        EXPECT_EQ(receiver.plane().doors(), 0U) << "its agent is destroyed";
      };
  refused("agent", [](auto& request, auto&) { request.remote_agent_name = "another"; });
  refused("no-agent", [](auto& request, auto&) { request.remote_agent_name.clear(); });
  refused("empty", [](auto& request, auto&) { request.local_xfer_dlist_bytes.clear(); });
  refused("cut", [](auto& request, auto&) { request.local_xfer_dlist_bytes.pop_back(); });
  refused("size", [](auto&, auto& pages) { pages.descriptors[3].length_bytes = 64; });
  refused("all-small", [](auto&, auto& pages) {
    for (auto& page : pages.descriptors) {
      page.length_bytes = 64;
    }
  });
  refused("overlap", [](auto&, auto& pages) { pages.descriptors[3].address += 1; });
  refused("outside", [](auto&, auto& pages) { pages.descriptors[0].address = 4096; });
  refused("beyond", [](auto&, auto& pages) { pages.descriptors[0].address = UINT64_MAX - 5; });
  EXPECT_EQ(receiver->stats().stock_peers, 0U);
  EXPECT_NE(sender("good"), nullptr);
}

TEST_P(StockReceiver, PagesWithoutAnIntroductionAreRefused) {
  StockSender peer(world, receiver, GetParam(), "rude");
  EXPECT_EQ(std::get<wire::NixlMemRegResponse>(peer.ask_init(peer.mem_reg_request("x"))),
            wire::NixlMemRegResponse());
  EXPECT_EQ(peer.ask(peer.alloc("r", 1, 1)).remote_indexes,
            peer.is_async() ? std::vector<std::int64_t>{-1} : std::vector<std::int64_t>());
}

TEST_P(StockReceiver, AHalfHandshakeEnds) {
  StockSender peer(world, receiver, GetParam(), "half");
  peer.ask_init(peer.init_request());
  EXPECT_EQ(receiver.plane().doors(), 1U);
  peer.ask_init(peer.init_request());
  world.scheduler.run_ready();
  EXPECT_EQ(receiver.plane().doors(), 1U) << "the second replaces the first";
  world.scheduler.run_for(std::chrono::seconds(31));
  EXPECT_EQ(receiver.plane().doors(), 0U);
}

TEST_P(StockReceiver, OfTooManyPeersTheOldestMakesRoom) {
  std::vector<std::unique_ptr<StockSender>> peers;
  for (int i = 0; i < 256; ++i) {
    peers.push_back(sender(std::to_string(i)));
    world.scheduler.run_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(receiver.plane().doors(), 256U);
  const auto granted = peers.back()->ask(peers.back()->alloc("r", 1, 1));
  const auto newest = sender("newest");
  world.scheduler.run_ready();
  EXPECT_EQ(receiver.plane().doors(), 256U);
  EXPECT_TRUE(peers.back()->write(granted.remote_indexes[0], 1).ok());
  EXPECT_TRUE(newest->put("s", 2, 1));
}

TEST_P(StockReceiver, BadAllocRequestsAreRefusedWithAnAnswer) {
  const auto peer = sender();
  const auto refused = [&](const std::function<void(wire::AllocRequest&)>& break_it) {
    wire::AllocRequest request = peer->alloc("r", 1, 2);
    break_it(request);
    const auto answer = peer->ask(request);
    EXPECT_THAT(answer.already_sent_indexes, IsEmpty());
    for (const std::int64_t index : answer.remote_indexes) {
      EXPECT_EQ(index, -1);
    }
    EXPECT_EQ(receiver.pages().granted, 0U);
    EXPECT_EQ(receiver->stats().requests, 0U);
  };
  refused([](auto& request) { request.shape = {2, 1, 8, 8}; });
  refused([](auto& request) { request.shape = {2, 1, 2, 8}, request.last_chunk_toks = 1; });
  refused([](auto& request) { request.dtype = DType::kBfloat16; });
  refused([](auto& request) { request.keys.push_back(std::string(request.keys[0])); });
  refused([](auto& request) { request.keys.clear(); });
  peer->send_raw("no message at all");
  EXPECT_EQ(std::get<wire::AllocResponse>(peer->next()).remote_indexes,
            std::vector<std::int64_t>{-1});
  EXPECT_TRUE(peer->put("r", 1, 2));
}

TEST(StockPeersRefused, AStockSenderIsNotAnswered) {
  World world;
  ReceiverNode receiver(world, "decoder", 4);
  StockSender peer(world, receiver, Flavour::kAsync, "one");
  peer.send_raw(wire::encode(peer.alloc("r", 1, 1)));
  world.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_EQ(receiver->stats().rejected_messages, 1U);
  EXPECT_EQ(receiver.pages().free, 4U);
}

}  // namespace
}  // namespace baton::testing
