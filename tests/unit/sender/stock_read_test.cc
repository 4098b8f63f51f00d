// A Baton sender reads from LMCache's receiver: two questions, a read between them, and what is
// made of nonsense, of silence, and of chunks that move meanwhile (P5, P6, P8).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/stock_receiver.h"

namespace baton::testing {
namespace {

using ::testing::HasSubstr;
using Response = wire::CacheQueryResponse;

class StockRead : public ::testing::Test {
 protected:
  void put(std::uint64_t first, std::uint64_t count) {
    const auto result =
        node.submit(receiver.address(), node.spec("put-" + std::to_string(first), first, count));
    ASSERT_TRUE(world.scheduler.run_until([&] { return result->done(); }));
    ASSERT_TRUE(result->status().ok()) << result->status();
  }
  std::shared_ptr<ReadSeen> start(std::uint64_t first, std::uint64_t count,
                                  Duration timeout = std::chrono::seconds(30)) {
    return node.read(receiver.address(), first, count, timeout, receiver.query_endpoint());
  }
  void run_to_end(const std::shared_ptr<ReadSeen>& read) {
    ASSERT_TRUE(world.scheduler.run_until([&] { return read->done(); })) << "it never ended";
  }
  std::shared_ptr<ReadSeen> read(std::uint64_t first, std::uint64_t count) {
    auto seen = start(first, count);
    run_to_end(seen);
    return seen;
  }
  static void expect_bytes(const ReadSeen& read, std::size_t index, std::uint64_t seed) {
    EXPECT_TRUE(std::ranges::equal(read.objects[index].bytes(),
                                   chunk_bytes(seed, StockReceiver::kPageBytes)))
        << "chunk " << seed;
  }
  /// Each key heard of it once, the references are back, and nothing is under way.
  void expect_clean(const std::shared_ptr<ReadSeen>& read, std::size_t keys) {
    EXPECT_EQ(read->callbacks.size(), keys);
    read->objects.clear();
    world.scheduler.run_for(std::chrono::minutes(1));
    EXPECT_EQ(read->callbacks.size(), keys);
    EXPECT_EQ(node->stats().reads, 0U);
    EXPECT_EQ(node.staging().counts().free, 16U);
  }
  std::size_t questions() const { return receiver.count<wire::CacheQueryRequest>(); }

  World world;
  StockReceiver receiver{world, StockReceiver::Flavour::kSync, 8};
  SenderNode node{world, 16, SenderNode::default_config(), {}, StockPeers::kAllow};
};

// ---- hits and misses ---------------------------------------------------------------------------

TEST_F(StockRead, HitsAreReadAndMissesAreSaid) {
  put(1, 3);
  const auto seen = read(2, 4);
  const auto result = seen->result();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->hits, 2U);
  EXPECT_EQ(result->bytes_read, 256U);
  expect_bytes(*seen, 0, 2);
  expect_bytes(*seen, 1, 3);
  EXPECT_TRUE(absl::IsNotFound(result->statuses[2])) << result->statuses[2];
  EXPECT_EQ(std::to_integer<int>(seen->objects[2].bytes()[0]), 0xEE) << "a miss touches nothing";
  ASSERT_EQ(questions(), 2U);
  EXPECT_EQ(std::get<wire::CacheQueryRequest>(receiver.heard().back()).keys, tiny_keys(2, 2))
      << "the hits alone are asked for again";
  EXPECT_EQ(receiver.count<wire::NixlInitRequest>(), 1U) << "puts and reads share the link";
  expect_clean(seen, 4);
}

TEST_F(StockRead, NothingThereIsOneQuestion) {
  const auto seen = read(1, 2);
  ASSERT_TRUE(seen->result().ok()) << seen->result().status();
  EXPECT_EQ(seen->result()->hits, 0U);
  EXPECT_EQ(questions(), 1U);
  expect_clean(seen, 2);
}

TEST_F(StockRead, TheOrderOfTheAnswerIsItsOwn) {
  put(1, 3);
  receiver.change_query = [](Response response, std::size_t /*number*/) {
    response.cached_keys = {std::make_reverse_iterator(response.cached_keys.end()),
                            std::make_reverse_iterator(response.cached_keys.begin())};
    std::ranges::reverse(response.cached_indexes);
    return std::vector{wire::encode(response)};
  };
  const auto seen = read(1, 3);
  ASSERT_TRUE(seen->result().ok()) << seen->result().status();
  EXPECT_EQ(seen->result()->hits, 3U);
  for (std::uint64_t i = 0; i < 3; ++i) {
    expect_bytes(*seen, i, i + 1);
  }
}

TEST_F(StockRead, ReadsAtATimeDoNotMixTheirAnswers) {
  put(1, 6);
  const auto one = start(1, 3);
  const auto two = start(4, 3);
  run_to_end(one);
  run_to_end(two);
  ASSERT_TRUE(one->result().ok() && two->result().ok());
  EXPECT_EQ(one->result()->hits + two->result()->hits, 6U);
  for (std::uint64_t i = 0; i < 3; ++i) {
    expect_bytes(*one, i, i + 1);
    expect_bytes(*two, i, i + 4);
  }
}

// ---- between the questions ---------------------------------------------------------------------

TEST_F(StockRead, AChunkThatHasMovedIsNotRead) {
  put(1, 3);
  receiver.before_query = [this](std::size_t number) {
    if (number == 2) {
      receiver.move(tiny_key(1));
    }
  };
  const auto seen = read(1, 3);
  const auto result = seen->result();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->hits, 2U);
  EXPECT_EQ(result->bytes_read, 256U);
  EXPECT_TRUE(absl::IsNotFound(result->statuses[0])) << result->statuses[0];
  EXPECT_THAT(std::string(result->statuses[0].message()), HasSubstr("while it was read"));
  expect_bytes(*seen, 1, 2);
  expect_clean(seen, 3);
}

TEST_F(StockRead, AChunkThatHasGoneIsNotRead) {
  put(1, 2);
  receiver.before_query = [this](std::size_t number) {
    if (number == 2) {
      receiver.evict(tiny_key(2));
    }
  };
  const auto seen = read(1, 2);
  ASSERT_TRUE(seen->result().ok()) << seen->result().status();
  EXPECT_EQ(seen->result()->hits, 1U);
  EXPECT_TRUE(absl::IsNotFound(seen->result()->statuses[1]));
  expect_clean(seen, 2);
}

TEST_F(StockRead, NothingCountsBeforeTheSecondAnswer) {
  put(1, 2);
  receiver.change_query = [](const Response& response, std::size_t number) {
    return number == 2 ? std::vector<std::string>{} : std::vector{wire::encode(response)};
  };
  const auto seen = start(1, 2, std::chrono::seconds(3));
  world.scheduler.run_for(std::chrono::seconds(2));
  EXPECT_EQ(questions(), 2U);
  EXPECT_FALSE(seen->done());
  run_to_end(seen);
  EXPECT_TRUE(absl::IsDeadlineExceeded(seen->result().status())) << seen->result().status();
  expect_clean(seen, 2);
}

// ---- nonsense ----------------------------------------------------------------------------------

TEST_F(StockRead, NonsenseFailsTheRead) {
  put(1, 3);
  const auto refused = [&](const std::string& complaint, std::size_t at, auto change) {
    std::size_t asked = 0;
    receiver.change_query = [&](Response response, std::size_t /*number*/) {
      return ++asked == at ? change(response) : std::vector{wire::encode(response)};
    };
    const auto seen = read(1, 4);
    EXPECT_TRUE(absl::IsDataLoss(seen->result().status())) << complaint << seen->result().status();
    EXPECT_THAT(std::string(seen->result().status().message()), HasSubstr(complaint));
    expect_clean(seen, 4);
  };
  const auto changed = [](auto change) {
    return [change](Response& response) {
      change(response);
      return std::vector{wire::encode(response)};
    };
  };
  for (const std::size_t at : {1U, 2U}) {
    refused("8 pages", at, changed([](Response& r) { r.cached_indexes[0] = 8; }));
    refused("8 pages", at, changed([](Response& r) { r.cached_indexes[0] = r.cached_indexes[1]; }));
    refused("cached_indexes", at, changed([](Response& r) { r.cached_indexes[0] = -1; }));
    refused("cached_indexes", at, changed([](Response& r) { r.cached_indexes.pop_back(); }));
    refused("cached_keys", at, changed([](Response& r) { r.cached_keys = {r.cached_keys[0]}; }));
    refused("stands twice", at, changed([](Response& r) {
              r.cached_keys = {r.cached_keys[1], r.cached_keys[1], r.cached_keys[2]};
            }));
    refused("not asked for", at, changed([](Response& r) {
              r.cached_keys = {tiny_key(9), r.cached_keys[1], r.cached_keys[2]};
            }));
    refused("nonsense", at, [](Response&) { return std::vector<std::string>{"\xc1"}; });
    refused("ProxyNotif", at, [](Response&) {
      return std::vector{wire::encode(wire::ProxyNotif{"r", {}})};
    });
  }
  receiver.change_query = nullptr;
  const auto good = read(1, 3);
  ASSERT_TRUE(good->result().ok()) << good->result().status();
  EXPECT_EQ(good->result()->hits, 3U) << "the link goes on";
  EXPECT_EQ(receiver.count<wire::NixlInitRequest>(), 1U);
}

TEST_F(StockRead, AnAnswerSaidTwiceConfirmsNothing) {
  put(1, 2);
  receiver.change_query = [](const Response& response, std::size_t number) {
    return std::vector(number == 1 ? 2 : 0, wire::encode(response));
  };
  const auto seen = read(1, 2);
  EXPECT_TRUE(absl::IsDataLoss(seen->result().status())) << seen->result().status();
  EXPECT_THAT(std::string(seen->result().status().message()), HasSubstr("nobody had asked"));
  expect_clean(seen, 2);
}

TEST_F(StockRead, WithoutAQueryPortItIsRefused) {
  put(1, 1);
  const auto seen = node.read(receiver.address(), 1, 1);
  run_to_end(seen);
  EXPECT_TRUE(absl::IsInvalidArgument(seen->result().status())) << seen->result().status();
  EXPECT_THAT(std::string(seen->result().status().message()), HasSubstr("receiver_query_port"));
  EXPECT_EQ(questions(), 0U);
  expect_clean(seen, 1);
}

TEST_F(StockRead, ABatonReceiversQueryPortIsIgnored) {
  ReceiverNode baton(world, "decoder", 8);
  const auto put = node.submit(baton, node.spec("r", 1, 2));
  ASSERT_TRUE(world.scheduler.run_until([&] { return put->done(); }));
  ASSERT_TRUE(baton.claim("r", tiny_keys(1, 2)).ok());
  const auto seen =
      node.read(baton.address(), 1, 2, std::chrono::seconds(30), receiver.query_endpoint());
  run_to_end(seen);
  ASSERT_TRUE(seen->result().ok()) << seen->result().status();
  EXPECT_EQ(seen->result()->hits, 2U);
  EXPECT_EQ(questions(), 0U);
}

// ---- time, cancel, loss ------------------------------------------------------------------------

TEST_F(StockRead, ASilentQueryPortEndsTheReadOnly) {
  put(1, 1);
  receiver.change_query = [](const Response& /*response*/, std::size_t /*number*/) {
    return std::vector<std::string>{};
  };
  const auto seen = start(1, 1, std::chrono::seconds(5));
  world.scheduler.run_for(std::chrono::seconds(4));
  EXPECT_FALSE(seen->done());
  world.scheduler.run_for(std::chrono::seconds(2));
  ASSERT_TRUE(seen->done());
  EXPECT_TRUE(absl::IsDeadlineExceeded(seen->result().status())) << seen->result().status();
  EXPECT_THAT(std::string(seen->result().status().message()), HasSubstr("pd_peer_query_port"));
  EXPECT_EQ(questions(), 1U) << "never said twice";
  expect_clean(seen, 1);
  receiver.change_query = nullptr;
  EXPECT_EQ(read(1, 1)->result()->hits, 1U);
  EXPECT_EQ(receiver.count<wire::NixlInitRequest>(), 1U);
}

TEST_F(StockRead, ACancelledReadEndsWhenNothingIsReadAnyMore) {
  put(1, 2);
  world.stock.set_paused(true);
  const auto seen = start(1, 2);
  world.scheduler.run_for(std::chrono::milliseconds(100));
  ASSERT_TRUE(node->cancel("read", absl::CancelledError(std::string("enough"))));
  world.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_FALSE(seen->done()) << "its pages are written to still";
  EXPECT_TRUE(seen->callbacks.empty());
  world.stock.set_paused(false);
  run_to_end(seen);
  EXPECT_TRUE(absl::IsCancelled(seen->result().status())) << seen->result().status();
  EXPECT_EQ(questions(), 1U);
  EXPECT_EQ(node.plane().doors(), 1U) << "the link goes on";
  expect_clean(seen, 2);
}

TEST_F(StockRead, AReadThatCannotBeDrainedTakesTheAgentWithIt) {
  put(1, 2);
  world.stock.set_paused(true);
  const auto seen = start(1, 2);
  world.scheduler.run_for(std::chrono::milliseconds(100));
  ASSERT_TRUE(node->cancel("read", absl::CancelledError(std::string("enough"))));
  run_to_end(seen);
  EXPECT_EQ(node.plane().doors(), 0U);
  world.stock.set_paused(false);
  world.scheduler.run_ready();
  EXPECT_EQ(std::to_integer<int>(seen->objects[0].bytes()[0]), 0xEE) << "nothing came afterwards";
  expect_clean(seen, 2);
}

TEST_F(StockRead, ALostReceiverFailsWhatWasUnderWay) {
  put(1, 2);
  world.stock.set_paused(true);
  const auto seen = start(1, 2);
  world.scheduler.run_for(std::chrono::milliseconds(100));
  receiver.die();
  world.stock.set_paused(false);
  run_to_end(seen);
  EXPECT_TRUE(absl::IsUnavailable(seen->result().status())) << seen->result().status();
  EXPECT_EQ(node.plane().doors(), 0U) << "its agent is gone, too";
  expect_clean(seen, 2);
}

TEST_F(StockRead, AFailureWhileItDrainsEndsTheLinkToo) {
  put(1, 2);
  world.stock.set_paused(true);
  const auto seen = start(1, 2);
  world.scheduler.run_for(std::chrono::milliseconds(100));
  ASSERT_TRUE(node->cancel("read", absl::CancelledError(std::string("enough"))));
  receiver.die();
  world.stock.set_paused(false);
  run_to_end(seen);
  EXPECT_TRUE(absl::IsCancelled(seen->result().status())) << seen->result().status();
  EXPECT_EQ(node.plane().doors(), 0U) << "no heartbeat would find out";
  expect_clean(seen, 2);
}

}  // namespace
}  // namespace baton::testing
