// A Baton sender puts into LMCache's receivers: the handshake, both flavours' answers, what is
// never sent or said twice, and what a failure leaves behind (P2, P5, P6, P8).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/stock_receiver.h"

namespace baton::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Flavour = StockReceiver::Flavour;

sender::Config config() {
  sender::Config config = SenderNode::default_config();
  config.proxy_endpoint = "inproc://proxy";
  return config;
}

class StockPut : public ::testing::TestWithParam<Flavour> {
 protected:
  StockPut()
      : proxy(*world.network.bind_pull(
            "inproc://proxy",
            [this](std::string_view payload) {
              released.push_back(std::get<wire::ProxyNotif>(*wire::decode(payload, {})));
            })),
        receiver(world, GetParam(), 8),
        node(world, 16, config(), {}, StockPeers::kAllow) {}

  bool is_async() const { return GetParam() == Flavour::kAsync; }
  std::shared_ptr<PutResult> put(const std::string& req_id, std::uint64_t first,
                                 std::uint64_t count, bool last = true) {
    return node.submit(receiver.address(), node.spec(req_id, first, count, last));
  }
  Status finish(const std::shared_ptr<PutResult>& result) {
    EXPECT_TRUE(world.scheduler.run_until([&] { return result->done(); }));
    return result->status();
  }
  void expect_bytes(std::uint64_t seed) {
    const auto bytes = chunk_bytes(seed, StockReceiver::kPageBytes);
    EXPECT_EQ(std::memcmp(receiver.chunk(tiny_key(seed)).data(), bytes.data(), bytes.size()), 0);
  }
  /// LMCache's messages, and nothing else ever.
  void expect_only_lmcaches() {
    for (const wire::Message& message : receiver.heard()) {
      const auto* alloc = std::get_if<wire::AllocRequest>(&message);
      const auto* cancel = std::get_if<wire::CancelNotif>(&message);
      EXPECT_TRUE(std::holds_alternative<wire::NixlInitRequest>(message) ||
                  std::holds_alternative<wire::NixlMemRegRequest>(message) ||
                  (alloc != nullptr && !alloc->baton.has_value()) ||
                  (cancel != nullptr && !cancel->baton.has_value()))
          << wire::type_name(message);
    }
    EXPECT_TRUE(is_async() || receiver.count<wire::CancelNotif>() == 0);
  }

  World world;
  std::vector<wire::ProxyNotif> released;
  std::unique_ptr<control::Pull> proxy;
  StockReceiver receiver;
  SenderNode node;
};

INSTANTIATE_TEST_SUITE_P(Flavours, StockPut, ::testing::Values(Flavour::kSync, Flavour::kAsync),
                         [](const auto& flavour) {
                           return flavour.param == Flavour::kSync ? "Sync" : "Async";
                         });

// ---- puts --------------------------------------------------------------------------------------

TEST_P(StockPut, BytesArriveAndTheProxyIsTold) {
  const auto first = put("r", 1, 3, false);
  const auto last = put("r", 4, 2);
  EXPECT_TRUE(finish(first).ok()) << first->status();
  EXPECT_TRUE(finish(last).ok()) << last->status();
  for (std::uint64_t i = 1; i <= 5; ++i) {
    expect_bytes(i);
  }
  EXPECT_THAT(released, ElementsAre(wire::ProxyNotif{"r", {}}));
  EXPECT_EQ(last->stats().chunks_sent, 2U);
  EXPECT_EQ(receiver.count<wire::NixlInitRequest>(), 1U);
  world.scheduler.run_for(std::chrono::minutes(5));
  expect_only_lmcaches();
  EXPECT_EQ(node.plane().doors(), 1U);
}

TEST_P(StockPut, TheProxyIsNotToldBeforeTheBytesAreThere) {
  world.stock.set_paused(true);
  const auto result = put("r", 1, 2);
  world.scheduler.run_for(std::chrono::seconds(10));
  EXPECT_FALSE(result->done());
  EXPECT_TRUE(released.empty());
  world.stock.set_paused(false);
  EXPECT_TRUE(finish(result).ok());
  EXPECT_EQ(released.size(), 1U);
}

TEST_P(StockPut, ChunksThatAreThereAreLeftOut) {
  ASSERT_TRUE(finish(put("r", 1, 2)).ok());
  const auto again = put("s", 2, 2);
  ASSERT_TRUE(finish(again).ok()) << again->status();
  EXPECT_EQ(again->stats().chunks_sent, is_async() ? 2U : 1U);
  EXPECT_EQ(again->stats().chunks_skipped, is_async() ? 0U : 1U);
  expect_bytes(2);
  expect_bytes(3);
}

TEST_P(StockPut, AnOpenedRequestReservesStaging) {
  std::optional<StatusOr<std::shared_ptr<StagingReservation>>> opened;
  node->open(
      {receiver.address(), {"r", 0}, tiny_keys(1, 3), 0, std::chrono::seconds(5)},
      [&](StatusOr<std::shared_ptr<StagingReservation>> result) { opened = std::move(result); });
  ASSERT_TRUE(world.scheduler.run_until([&] { return opened.has_value(); }));
  EXPECT_TRUE(opened->ok()) << opened->status();
  EXPECT_EQ(receiver.count<wire::AllocRequest>(), 0U);
  node->release({"r", 0});
  expect_only_lmcaches();
}

TEST_P(StockPut, ABatonReceiverIsServedAsEver) {
  ReceiverNode baton(world, "decoder", 8);
  const auto result = node.submit(baton, node.spec("r", 1, 2));
  EXPECT_TRUE(finish(result).ok()) << result->status();
  EXPECT_TRUE(baton.claim("r", tiny_keys(1, 2)).ok());
  world.scheduler.run_ready();
  EXPECT_EQ(node.plane().doors(), 0U) << "the agent for the handshake is gone";
}

// ---- refusals
// ------------------------------------------------------------------------------------

TEST_P(StockPut, ARefusalFailsThePutOnly) {
  if (!is_async()) {
    receiver.change_alloc = [](wire::AllocResponse& response) { response.remote_indexes.clear(); };
  } else {
    receiver.change_alloc = [](wire::AllocResponse& response) { response.remote_indexes[1] = -1; };
  }
  const Status refused = finish(put("r", 1, 2));
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_TRUE(released.empty());
  receiver.change_alloc = nullptr;
  EXPECT_TRUE(finish(put("s", 11, 2)).ok());
  EXPECT_EQ(receiver.count<wire::NixlInitRequest>(), 1U);
}

TEST_P(StockPut, NonsenseInAnAnswerIsRefused) {
  const auto refused = [&](std::uint64_t seed, auto change) {
    receiver.change_alloc = change;
    const Status status = finish(put("r" + std::to_string(seed), seed, 2));
    EXPECT_TRUE(absl::IsDataLoss(status)) << seed << ": " << status;
    EXPECT_EQ(node.plane().writes(), 0U);
    EXPECT_TRUE(released.empty());
  };
  refused(10, [](wire::AllocResponse& r) { r.remote_indexes[0] = 8; });
  refused(20, [](wire::AllocResponse& r) { r.remote_indexes[0] = r.remote_indexes[1]; });
  refused(30, [](wire::AllocResponse& r) { r.remote_indexes.push_back(0); });
  if (!is_async()) {
    refused(40, [](wire::AllocResponse& r) { r.already_sent_indexes = {2}; });
    refused(50, [](wire::AllocResponse& r) { r.already_sent_indexes = {0, 0}; });
  }
}

TEST_P(StockPut, BadHandshakesAreRefused) {
  const auto refused = [&](const std::string& complaint) {
    const Status status = finish(put("r" + complaint, 1, 1));
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), HasSubstr(complaint));
    world.scheduler.run_ready();
    EXPECT_EQ(node.plane().doors(), 0U);
  };
  receiver.change_init = [](auto& response) { response.remote_agent_name = "somebody"; };
  refused("calls our agent");
  receiver.change_init = [](auto& response) { response.remote_meta_bytes = "nonsense"; };
  refused("metadata");
  receiver.change_init = nullptr;
  receiver.change_pages = [](auto& list) { list.descriptors[1].length_bytes = 256; };
  refused("page 1 has 256 bytes");
  receiver.change_pages = [](auto& list) { list.descriptors[1] = list.descriptors[0]; };
  refused("overlap");
  receiver.change_pages = [](auto& list) { list.descriptors[0].address = 4096; };
  refused("outside");
  receiver.change_pages = nullptr;
  receiver.change_mem_reg = [](auto& response) {
    response.remote_xfer_dlist_bytes = "cos\nsystem";
  };
  refused("not the pickle");
  EXPECT_EQ(receiver.count<wire::AllocRequest>(), 0U);
}

TEST(StockPutRefused, AStockReceiverIsNamed) {
  World world;
  SenderNode node(world, 4);
  // Only a receiver that reads anything at all gets as far as answering.
  std::unique_ptr<control::Server> init;
  init = *world.network.bind_server(
      "inproc://old-init", [&](const control::Route& from, std::string_view) {
        EXPECT_TRUE(init->send(from, wire::encode(wire::NixlInitResponse{"a", "b", {}})).ok());
      });
  const auto result =
      node.submit({"inproc://old-init", "inproc://old-alloc"}, node.spec("r", 1, 1));
  ASSERT_TRUE(world.scheduler.run_until([&] { return result->done(); }));
  EXPECT_THAT(std::string(result->status().message()), HasSubstr("pd_stock_peers"));
}

// ---- time, and never twice
// -----------------------------------------------------------------------

TEST_P(StockPut, ASilentReceiverEndsThePutAndTheLink) {
  receiver.set_silent(true);
  const auto result = put("r", 1, 1);
  const auto behind = put("s", 2, 1);
  world.scheduler.run_for(std::chrono::seconds(29));
  EXPECT_FALSE(result->done());
  EXPECT_EQ(receiver.count<wire::AllocRequest>(), 1U) << "one question at a time, and never again";
  world.scheduler.run_for(std::chrono::seconds(2));
  EXPECT_TRUE(result->done());
  EXPECT_TRUE(behind->done());
  EXPECT_TRUE(absl::IsDeadlineExceeded(result->status())) << result->status();
  EXPECT_EQ(receiver.count<wire::AllocRequest>(), 1U);
  EXPECT_EQ(node.plane().doors(), 0U);
  EXPECT_TRUE(released.empty());
  receiver.set_silent(false);
  EXPECT_TRUE(finish(put("t", 3, 1)).ok());
  EXPECT_EQ(receiver.count<wire::NixlInitRequest>(), 2U);
}

TEST_P(StockPut, ALostReceiverFailsWhatWasUnderWay) {
  world.stock.set_paused(true);
  const auto result = put("r", 1, 2);
  world.scheduler.run_for(std::chrono::seconds(1));
  receiver.die();
  world.stock.set_paused(false);
  const Status status = finish(result);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  world.scheduler.run_for(std::chrono::seconds(60));
  EXPECT_EQ(receiver.count<wire::AllocRequest>(), 1U) << "it is not put again";
  EXPECT_TRUE(released.empty());
}

// ---- cancel
// --------------------------------------------------------------------------------------

TEST_P(StockPut, ACancelledPutGivesItsPagesBackWhenItsWritesAreOver) {
  world.stock.set_paused(true);
  const auto result = put("r", 1, 2);
  world.scheduler.run_for(std::chrono::seconds(1));
  ASSERT_TRUE(node->cancel("r", absl::CancelledError(std::string("enough"))));
  world.scheduler.run_for(std::chrono::milliseconds(500));
  EXPECT_EQ(receiver.count<wire::CancelNotif>(), 0U) << "it is written still";
  world.stock.set_paused(false);
  EXPECT_TRUE(absl::IsCancelled(finish(result)));
  world.scheduler.run_for(std::chrono::seconds(1));
  if (is_async()) {
    ASSERT_EQ(receiver.count<wire::CancelNotif>(), 1U);
    EXPECT_EQ(std::get<wire::CancelNotif>(receiver.heard().back()),
              (wire::CancelNotif{"r", tiny_keys(1, 2), {}}));
    EXPECT_EQ(receiver.free_pages(), 8U);
  }
  expect_only_lmcaches();
  EXPECT_TRUE(released.empty());
  EXPECT_TRUE(finish(put("s", 5, 2)).ok()) << "and the link goes on";
}

TEST_P(StockPut, AWordThatWaitsBehindALongQuestionIsSaidStill) {
  world.stock.set_paused(true);
  const auto first = put("r", 1, 2);
  world.scheduler.run_for(std::chrono::seconds(1));
  receiver.set_silent(true);
  const auto second = put("s", 5, 2);
  world.scheduler.run_for(std::chrono::seconds(1));
  ASSERT_TRUE(node->cancel("r", absl::CancelledError(std::string("enough"))));
  world.stock.set_paused(false);
  EXPECT_TRUE(absl::IsCancelled(finish(first)));
  // Longer than a word may take once it is sent, shorter than the question's put.
  world.scheduler.run_for(std::chrono::seconds(20));
  EXPECT_EQ(receiver.count<wire::CancelNotif>(), 0U) << "one question at a time";
  receiver.set_silent(false);
  EXPECT_TRUE(finish(second).ok()) << second->status();
  world.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_EQ(receiver.count<wire::CancelNotif>(), is_async() ? 1U : 0U);
  EXPECT_EQ(receiver.free_pages(), is_async() ? 6U : 4U);
  EXPECT_EQ(receiver.count<wire::NixlInitRequest>(), 1U) << "the link goes on";
}

TEST_P(StockPut, AWordThatIsSaidLateHasAllItsTime) {
  if (!is_async()) {
    GTEST_SKIP() << "a sync receiver gets none";
  }
  world.stock.set_paused(true);
  const auto first = put("r", 1, 2);
  world.scheduler.run_for(std::chrono::seconds(1));
  receiver.set_silent(true);
  const auto second = put("s", 5, 2);
  world.scheduler.run_for(std::chrono::seconds(1));
  ASSERT_TRUE(node->cancel("r", absl::CancelledError(std::string("enough"))));
  world.stock.set_paused(false);
  EXPECT_TRUE(absl::IsCancelled(finish(first)));
  const Duration most = config().handshake_timeout;
  world.scheduler.run_for(most - std::chrono::seconds(1));
  receiver.set_silent(false);
  receiver.set_silent(true);  // The question is answered, the word is not.
  EXPECT_TRUE(finish(second).ok()) << second->status();
  world.scheduler.run_for(most - std::chrono::seconds(1));
  EXPECT_EQ(receiver.count<wire::CancelNotif>(), 1U);
  EXPECT_EQ(node.plane().doors(), 1U) << "it was sent just now";
  world.scheduler.run_for(std::chrono::seconds(2));
  EXPECT_EQ(node.plane().doors(), 0U) << "and yet its wait ends";
}

TEST_P(StockPut, AnAnswerThatComesAfterTheCancelIsGivenBack) {
  receiver.set_silent(true);
  const auto result = put("r", 1, 2);
  world.scheduler.run_for(std::chrono::seconds(1));
  ASSERT_TRUE(node->cancel("r", absl::CancelledError(std::string("enough"))));
  EXPECT_TRUE(absl::IsCancelled(finish(result)));
  receiver.set_silent(false);
  world.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_EQ(receiver.free_pages(), is_async() ? 8U : 6U);
  EXPECT_EQ(node.plane().writes(), 0U);
  EXPECT_TRUE(finish(put("s", 5, 2)).ok());
}

}  // namespace
}  // namespace baton::testing
