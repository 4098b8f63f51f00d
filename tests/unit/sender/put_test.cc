// Puts from submission to claim: what goes right, and what the put says when it doesn't.
// Promises: P1, P2, P5, P6.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/support/handoff.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

bool holds_bytes(const MemoryObj& object, std::uint64_t seed) {
  const auto expected = chunk_bytes(seed, object.bytes().size());
  return std::equal(expected.begin(), expected.end(), object.bytes().begin());
}

class PutTest : public ::testing::Test {
 protected:
  void run_to_end(const std::shared_ptr<PutResult>& put) {
    ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
  }
  std::string message_of(const std::shared_ptr<PutResult>& put) {
    return std::string(put->status().message());
  }
  /// Everything that was taken is back, on both sides.
  void expect_nothing_lost(ReceiverNode& receiver, SenderNode& sender) {
    world_.scheduler.run_for(std::chrono::seconds(1));
    receiver->evict_all_retained();
    const auto pages = receiver.pages();
    EXPECT_EQ(pages.free, pages.total);
    EXPECT_EQ(pages.reserved, 0U);
    EXPECT_EQ(receiver->audit(), "");
    EXPECT_EQ(sender.staging().counts().free, sender.staging().counts().total);
    EXPECT_EQ(sender->stats().requests, 0U);
    EXPECT_EQ(sender->stats().puts, 0U);
  }

  World world_;
};

TEST_F(PutTest, HandsOverEveryByteAndTellsEachKeyOnce) {
  ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 8);
  auto spec = sender.spec("req", 10, 3);
  spec.objects.back() = sender.chunk(12, 2);
  spec.last_chunk_toks = 2;
  const auto put = sender.submit(receiver, std::move(spec));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  ASSERT_THAT(put->callbacks, SizeIs(3));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(put->callbacks[i].first, tiny_key(10 + i));
    EXPECT_TRUE(put->callbacks[i].second.ok());
  }
  EXPECT_EQ(put->stats().chunks_sent, 3U);
  EXPECT_EQ(put->stats().bytes_written, 128U + 128U + 64U);
  EXPECT_EQ(put->stats().bytes_eager, 0U);

  auto claim = receiver.claim("req", tiny_keys(10, 3));
  ASSERT_TRUE(claim.ok()) << claim.status();
  ASSERT_THAT(claim->chunks(), SizeIs(3));
  EXPECT_TRUE(holds_bytes(claim->chunks()[0], 10));
  EXPECT_TRUE(holds_bytes(claim->chunks()[1], 11));
  EXPECT_EQ(claim->chunks()[2].meta(), tiny_chunk(2));
  EXPECT_TRUE(holds_bytes(claim->chunks()[2], 12));
  claim->release();
  expect_nothing_lost(receiver, sender);
}

// As over tcp: nobody takes digests on the way. The loopback transport does in all other tests.
TEST(PutWithoutDigestsOnTheWay, HandsOverEveryByte) {
  World world({.digests_writes = false});
  receiver::Config config = ReceiverNode::default_config();
  config.integrity = Integrity::kParanoid;
  ReceiverNode receiver(world, "r", 8, config);
  SenderNode sender(world, 8);
  const auto put = sender.submit(receiver, sender.spec("req", 10, 3));
  ASSERT_TRUE(world.scheduler.run_until([&] { return put->done(); }));
  ASSERT_TRUE(put->status().ok()) << put->status();
  const auto claim = receiver.claim("req", tiny_keys(10, 3));
  ASSERT_TRUE(claim.ok()) << claim.status();
  for (std::uint64_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(holds_bytes(claim->chunks()[i], 10 + i));
  }
}

TEST_F(PutTest, GivesReferencesBackBeforeItsCallback) {
  const ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 4);
  auto spec = sender.spec("req", 0, 4);
  EXPECT_EQ(sender.staging().counts().free, 0U);
  auto state = std::make_shared<detail::PutState>(world_.scheduler);
  std::uint32_t free_in_callback = 99;
  spec.on_key_done = [&](const std::string&, const Status&) {
    free_in_callback = sender.staging().counts().free;
  };
  sender->submit(receiver.address(), std::move(spec), state);
  ASSERT_TRUE(world_.scheduler.run_until([&] { return state->done(); }));
  EXPECT_EQ(free_in_callback, 4U);
}

TEST_F(PutTest, LeavesOutWhatTheReceiverHas) {
  ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 8);
  run_to_end(sender.submit(receiver, sender.spec("first", 0, 3)));
  ASSERT_TRUE(receiver.claim("first", tiny_keys(0, 3)).ok());
  const auto second = sender.submit(receiver, sender.spec("second", 0, 4));
  run_to_end(second);
  ASSERT_TRUE(second->status().ok()) << second->status();
  EXPECT_EQ(second->stats().chunks_sent, 1U);
  EXPECT_EQ(second->stats().chunks_skipped, 3U);
  EXPECT_EQ(second->stats().bytes_written, 128U);
  ASSERT_TRUE(receiver.claim("second", tiny_keys(0, 4)).ok());
  expect_nothing_lost(receiver, sender);
}

TEST_F(PutTest, SeveralPutsOfOneRequestAreUnderWayAtOnce) {
  ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 8);
  std::vector<std::shared_ptr<PutResult>> puts;
  for (std::uint64_t i = 0; i < 4; ++i) {
    auto spec = sender.spec("req", 2 * i, 2, i == 3);
    spec.total_chunks = 8;
    puts.push_back(sender.submit(receiver, std::move(spec)));
  }
  EXPECT_EQ(sender->stats().puts, 4U);
  for (const auto& put : puts) {
    run_to_end(put);
    EXPECT_TRUE(put->status().ok()) << put->status();
  }
  const auto claim = receiver.claim("req", tiny_keys(0, 8));
  ASSERT_TRUE(claim.ok()) << claim.status();
  for (std::uint64_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(holds_bytes(claim->chunks()[i], i)) << i;
  }
}

// LMCache: a chunk in flight was answered "already sent", and the proxy released too early.
TEST_F(PutTest, WaitsForAChunkThatAnotherSenderIsWriting) {
  ReceiverNode receiver(world_, "r", 8);
  SenderNode a(world_, 4);
  SenderNode b(world_, 4);
  const auto from_a = a.submit(receiver, a.spec("a", 0, 2));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver.pages().granted == 2; }));
  // b's answer must come while a's chunks are in flight: hold a's commits back.
  bool release = false;
  world_.network.set_filter([&](const control::Envelope& envelope) -> std::vector<Duration> {
    const bool commit = envelope.payload.find("BatonCommitRequest") != std::string_view::npos;
    const bool of_a = envelope.client.find(a.epoch().hex()) != std::string_view::npos;
    return {commit && of_a && !release ? Duration(std::chrono::seconds(1)) : Duration::zero()};
  });
  const auto from_b = b.submit(receiver, b.spec("b", 0, 3));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver.pages().held == 1; }))
      << "b's own chunk is committed";
  EXPECT_FALSE(from_b->done());
  EXPECT_FALSE(receiver->contains(tiny_key(0)));
  release = true;
  run_to_end(from_a);
  run_to_end(from_b);
  EXPECT_TRUE(from_a->status().ok()) << from_a->status();
  EXPECT_TRUE(from_b->status().ok()) << from_b->status();
  EXPECT_EQ(from_b->stats().chunks_sent, 1U);
  ASSERT_TRUE(receiver.claim("a", tiny_keys(0, 2)).ok());
  ASSERT_TRUE(receiver.claim("b", tiny_keys(0, 3)).ok());
  expect_nothing_lost(receiver, a);
  expect_nothing_lost(receiver, b);
}

TEST_F(PutTest, TakesOverAChunkWhoseWriterIsCancelled) {
  World slow({.piece_bytes = 16, .piece_delay = std::chrono::milliseconds(1)});
  ReceiverNode receiver(slow, "r", 8);
  SenderNode a(slow, 4);
  SenderNode b(slow, 4);
  const auto from_a = a.submit(receiver, a.spec("a", 0, 2));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return receiver.pages().granted == 2; }));
  const auto from_b = b.submit(receiver, b.spec("b", 0, 2));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return receiver->stats().requests == 2; }));
  EXPECT_TRUE(a->cancel("a", absl::CancelledError(std::string("test"))));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return from_b->done(); }));
  EXPECT_TRUE(absl::IsCancelled(from_a->status())) << from_a->status();
  ASSERT_TRUE(from_b->status().ok()) << from_b->status();
  EXPECT_EQ(from_b->stats().chunks_sent, 2U);
  const auto claim = receiver.claim("b", tiny_keys(0, 2));
  ASSERT_TRUE(claim.ok()) << claim.status();
  EXPECT_TRUE(holds_bytes(claim->chunks()[1], 1));
  slow.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_EQ(receiver.pages().quarantined, 0U);
  EXPECT_EQ(receiver->audit(), "");
}

TEST_F(PutTest, ADeadSenderTakesNothingOverAndItsHeirsGoOnOneAfterTheOther) {
  World slow({.piece_bytes = 16, .piece_delay = std::chrono::milliseconds(1)});
  ReceiverNode receiver(slow, "r", 12);
  SenderNode a(slow, 8);
  SenderNode b(slow, 4);
  SenderNode c(slow, 4);
  const auto writes = a.submit(receiver, a.spec("a1", 0, 2));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return receiver.pages().granted == 2; }));
  // Three wait for a's chunks: a itself first, then b, then c.
  const auto waits = a.submit(receiver, a.spec("a2", 0, 2));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return receiver->stats().requests == 2; }));
  const auto heir = b.submit(receiver, b.spec("b", 0, 2));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return receiver->stats().requests == 3; }));
  const auto last = c.submit(receiver, c.spec("c", 0, 2));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return receiver->stats().requests == 4; }));
  ASSERT_FALSE(writes->done()) << "the test came too late";

  slow.hub.break_connection(a.epoch(), receiver.epoch(),
                            absl::UnavailableError(std::string("cable cut")));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return receiver.pages().granted == 2; }));
  slow.hub.break_connection(b.epoch(), receiver.epoch(),
                            absl::UnavailableError(std::string("cable cut too")));
  // Those that were cut off ask again, find that it is the same receiver, and give up.
  ASSERT_TRUE(slow.scheduler.run_until(
      [&] { return last->done() && writes->done() && waits->done() && heir->done(); }));
  EXPECT_TRUE(absl::IsUnavailable(writes->status())) << writes->status();
  EXPECT_TRUE(absl::IsUnavailable(waits->status())) << waits->status();
  EXPECT_TRUE(absl::IsUnavailable(heir->status())) << heir->status();
  ASSERT_TRUE(last->status().ok()) << last->status();
  EXPECT_EQ(last->stats().chunks_sent, 2U);
  {
    const auto claim = receiver.claim("c", tiny_keys(0, 2));
    ASSERT_TRUE(claim.ok()) << claim.status();
    EXPECT_TRUE(holds_bytes(claim->chunks()[0], 0));
  }
  slow.scheduler.run_for(std::chrono::seconds(1));
  receiver->evict_all_retained();
  EXPECT_EQ(receiver.pages().free, 12U);
  EXPECT_EQ(receiver->audit(), "");
}

TEST_F(PutTest, ADroppedWriteIsCaughtByItsDigest) {
  auto config = ReceiverNode::default_config();
  config.poison_pages = true;
  ReceiverNode receiver(world_, "r", 8, config);
  sender::FaultHooks faults;
  faults.drop_write = [](std::string_view key) { return key == tiny_key(1); };
  SenderNode sender(world_, 8, SenderNode::default_config(), std::move(faults));
  const auto put = sender.submit(receiver, sender.spec("req", 0, 2));
  run_to_end(put);
  EXPECT_TRUE(absl::IsDataLoss(put->status())) << put->status();
  EXPECT_THAT(message_of(put), HasSubstr("digest"));
  ASSERT_THAT(put->callbacks, SizeIs(2));
  EXPECT_FALSE(put->callbacks[0].second.ok());
  EXPECT_FALSE(receiver->contains(tiny_key(0)));
  EXPECT_TRUE(absl::IsAborted(receiver.claim("req", tiny_keys(0, 2)).status()));
  expect_nothing_lost(receiver, sender);
}

TEST_F(PutTest, AFlippedByteBeforeVerificationFailsThePut) {
  receiver::FaultHooks faults;
  faults.before_verify = [](std::span<std::byte> chunk) { chunk[5] ^= std::byte{1}; };
  ReceiverNode receiver(world_, "r", 8, ReceiverNode::default_config(), std::move(faults));
  SenderNode sender(world_, 8);
  const auto put = sender.submit(receiver, sender.spec("req", 0, 1));
  run_to_end(put);
  EXPECT_TRUE(absl::IsDataLoss(put->status())) << put->status();
  expect_nothing_lost(receiver, sender);
}

TEST_F(PutTest, ParanoidFindsAByteThatChangedAfterTheCommit) {
  for (const Integrity integrity : {Integrity::kFull, Integrity::kParanoid}) {
    receiver::FaultHooks faults;
    faults.after_commit = [](std::span<std::byte> chunk) { chunk[5] ^= std::byte{1}; };
    auto config = ReceiverNode::default_config();
    config.integrity = integrity;
    ReceiverNode receiver(world_, "r", 8, config, std::move(faults));
    SenderNode sender(world_, 8);
    const auto put = sender.submit(receiver, sender.spec("req", 0, 1));
    run_to_end(put);
    EXPECT_TRUE(put->status().ok());
    const Status claimed = receiver.claim("req", tiny_keys(0, 1)).status();
    if (integrity == Integrity::kFull) {
      EXPECT_TRUE(claimed.ok()) << "only paranoid looks again";
    } else {
      EXPECT_TRUE(absl::IsDataLoss(claimed)) << claimed;
      EXPECT_FALSE(receiver->contains(tiny_key(0))) << "a damaged chunk must not be a hit";
    }
    expect_nothing_lost(receiver, sender);
  }
}

TEST_F(PutTest, CancelInMidWriteQuarantinesUntilDrained) {
  World slow({.piece_bytes = 16, .piece_delay = std::chrono::milliseconds(1)});
  ReceiverNode receiver(slow, "r", 4);
  SenderNode sender(slow, 4);
  const auto put = sender.submit(receiver, sender.spec("req", 0, 2));
  ASSERT_TRUE(slow.scheduler.run_until([&] {
    return receiver.buffer().page(0)[0] == chunk_bytes(0, 1)[0];  // the first bytes have landed
  }));
  sender->cancel("req", absl::CancelledError(std::string("test")));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return receiver.pages().quarantined == 2; }));
  EXPECT_FALSE(put->done()) << "the write still touches the local pages";
  EXPECT_EQ(sender.staging().counts().free, 2U);
  ASSERT_TRUE(slow.scheduler.run_until([&] { return receiver.pages().free == 4; }));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return put->done(); }));
  EXPECT_TRUE(absl::IsCancelled(put->status())) << put->status();
  EXPECT_EQ(sender.staging().counts().free, 4U);
}

TEST_F(PutTest, ABrokenConnectionFailsThePutAndFreesEveryPage) {
  World slow({.piece_bytes = 16, .piece_delay = std::chrono::milliseconds(1)});
  ReceiverNode receiver(slow, "r", 4);
  SenderNode sender(slow, 4);
  const auto put = sender.submit(receiver, sender.spec("req", 0, 3));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return receiver.pages().granted == 3; }));
  slow.hub.break_connection(sender.epoch(), receiver.epoch(),
                            absl::UnavailableError(std::string("cable cut")));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return put->done(); }));
  EXPECT_TRUE(absl::IsUnavailable(put->status())) << put->status();
  EXPECT_THAT(message_of(put), HasSubstr("cable cut"));
  slow.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_EQ(receiver.pages().free, 4U);
  // And the same sender is let in again.
  const auto again = sender.submit(receiver, sender.spec("again", 0, 3));
  ASSERT_TRUE(slow.scheduler.run_until([&] { return again->done(); }));
  EXPECT_TRUE(again->status().ok()) << again->status();
}

TEST_F(PutTest, TellsTheProxyOnceAndOnlyAfterEveryCommit) {
  std::vector<std::string> notices;
  ReceiverNode receiver(world_, "r", 8);
  bool all_committed = false;
  auto proxy = world_.network.bind_pull("inproc://proxy", [&](std::string_view payload) {
    const auto message = wire::decode(payload, {});
    ASSERT_TRUE(message.ok()) << message.status();
    notices.push_back(std::get<wire::ProxyNotif>(*message).req_id);
    all_committed = receiver.pages().held == 4;
  });
  ASSERT_TRUE(proxy.ok());
  auto config = SenderNode::default_config();
  config.proxy_endpoint = "inproc://proxy";
  SenderNode sender(world_, 8, config);
  auto first = sender.spec("req", 0, 2, false);
  first.total_chunks = 4;
  const auto early = sender.submit(receiver, std::move(first));
  run_to_end(early);
  world_.scheduler.run_for(std::chrono::milliseconds(10));
  EXPECT_THAT(notices, SizeIs(0));
  const auto last = sender.submit(receiver, sender.spec("req", 2, 2));
  run_to_end(last);
  world_.scheduler.run_for(std::chrono::milliseconds(10));
  EXPECT_THAT(notices, ::testing::ElementsAre("req"));
  EXPECT_TRUE(all_committed);
}

TEST_F(PutTest, WithoutAProxyTheLastPutFails) {
  ReceiverNode receiver(world_, "r", 8);
  auto config = SenderNode::default_config();
  config.proxy_endpoint = "inproc://nobody";
  SenderNode sender(world_, 8, config);
  auto spec = sender.spec("req", 0, 1);
  spec.timeout = std::chrono::seconds(2);
  const auto put = sender.submit(receiver, std::move(spec));
  run_to_end(put);
  EXPECT_FALSE(put->status().ok());
  expect_nothing_lost(receiver, sender);
}

TEST_F(PutTest, AReceiverThatIsNotThereIsSaidSoInTime) {
  const ReceiverNode receiver(world_, "elsewhere", 1);
  SenderNode sender(world_, 4);
  auto put = std::make_shared<PutResult>();
  put->state = std::make_shared<detail::PutState>(world_.scheduler);
  sender->submit({"inproc://nowhere-init", "inproc://nowhere-alloc"}, sender.spec("req", 0, 1),
                 put->state);
  const TimePoint start = world_.scheduler.now();
  run_to_end(put);
  EXPECT_TRUE(absl::IsDeadlineExceeded(put->status())) << put->status();
  EXPECT_THAT(message_of(put), HasSubstr("nowhere-init"));
  EXPECT_LE(world_.scheduler.now() - start, std::chrono::seconds(6));
  EXPECT_EQ(sender.staging().counts().free, 4U);
}

TEST_F(PutTest, AReceiverThatAnswersNonsenseIsNotBelieved) {
  wire::NixlInitResponse with_rubbish;
  with_rubbish.baton = "\x93\x01";
  wire::NixlInitResponse with_another;
  with_another.baton = wire::encode(wire::ProxyNotif{"req", {}});
  const std::string answers[] = {"\x93\x01\x02\x03", wire::encode(wire::ProxyNotif{"req", {}}),
                                 wire::encode(with_rubbish), wire::encode(with_another)};
  for (const std::string& answer : answers) {
    control::Server* server = nullptr;
    auto bound = world_.network.bind_server("inproc://mad-init",
                                            [&](const control::Route& from, std::string_view) {
                                              EXPECT_TRUE(server->send(from, answer).ok());
                                            });
    server = bound->get();
    SenderNode sender(world_, 4);
    auto put = std::make_shared<PutResult>();
    put->state = std::make_shared<detail::PutState>(world_.scheduler);
    sender->submit({"inproc://mad-init", "inproc://mad-alloc"}, sender.spec("req", 0, 1),
                   put->state);
    run_to_end(put);
    EXPECT_TRUE(absl::IsDataLoss(put->status())) << put->status();
  }
}

TEST_F(PutTest, ADifferentModelIsRefusedWithBothNames) {
  const ReceiverNode receiver(world_, "r", 8);
  auto config = SenderNode::default_config();
  config.layout.model_fingerprint = "weights-2";
  SenderNode sender(world_, 8, config);
  const auto put = sender.submit(receiver, sender.spec("req", 0, 1));
  run_to_end(put);
  EXPECT_TRUE(absl::IsFailedPrecondition(put->status())) << put->status();
  EXPECT_THAT(message_of(put), ::testing::AllOf(HasSubstr("model_fingerprint"),
                                                HasSubstr("weights-1"), HasSubstr("weights-2")));
}

TEST_F(PutTest, ADuplicateKeyIsRefusedAndNothingIsTaken) {
  ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 8);
  auto spec = sender.spec("req", 0, 2);
  spec.keys = {spec.keys[0], spec.keys[0]};
  const auto put = sender.submit(receiver, std::move(spec));
  run_to_end(put);
  EXPECT_TRUE(absl::IsInvalidArgument(put->status())) << put->status();
  expect_nothing_lost(receiver, sender);
}

TEST_F(PutTest, NoPutAfterTheLastOne) {
  const ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 8);
  const auto last = sender.submit(receiver, sender.spec("req", 0, 1));
  const auto late = sender.submit(receiver, sender.spec("req", 1, 1));
  run_to_end(late);
  EXPECT_TRUE(absl::IsFailedPrecondition(late->status())) << late->status();
  run_to_end(last);
  EXPECT_TRUE(last->status().ok()) << last->status();
}

TEST_F(PutTest, ADeadlineEndsAPutWhoseReceiverFellSilent) {
  const ReceiverNode receiver(world_, "r", 8);
  SenderNode sender(world_, 8);
  run_to_end(sender.submit(receiver, sender.spec("warm", 100, 1)));
  world_.network.set_filter([](const control::Envelope&) { return std::vector<Duration>{}; });
  auto spec = sender.spec("req", 0, 1);
  spec.timeout = std::chrono::seconds(3);
  const auto put = sender.submit(receiver, std::move(spec));
  run_to_end(put);
  EXPECT_TRUE(absl::IsDeadlineExceeded(put->status())) << put->status();
  EXPECT_THAT(message_of(put), HasSubstr("3000 ms"));
}

}  // namespace
}  // namespace baton
