// Reads between real readers and receivers, over a network that fails.
// Promises: P1, P3, P5, P6, P7.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/handoff.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

constexpr transport::LoopbackOptions kSlow{.piece_bytes = 16,
                                           .piece_delay = std::chrono::milliseconds(1)};

class ReadTest : public ::testing::Test {
 protected:
  explicit ReadTest(transport::LoopbackOptions options = {}) : world_(options) {}

  void put(std::uint64_t first, std::uint64_t count) {
    const std::string req_id = "put-" + std::to_string(first);
    SenderNode sender(world_, 8);
    const auto put = sender.submit(receiver_, sender.spec(req_id, first, count));
    ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
    ASSERT_TRUE(put->status().ok()) << put->status();
    ASSERT_TRUE(receiver_.claim(req_id, tiny_keys(first, count)).ok());
    world_.scheduler.run_ready();
  }
  void run_to_end(const std::shared_ptr<ReadSeen>& read) {
    ASSERT_TRUE(world_.scheduler.run_until([&] { return read->done(); })) << "it never ended";
  }
  static void expect_bytes(const ReadSeen& read, std::size_t index, std::uint64_t seed) {
    EXPECT_TRUE(std::ranges::equal(read.objects[index].bytes(), chunk_bytes(seed, 128)))
        << "chunk " << seed;
  }
  /// Nothing of any read is left on either side.
  void expect_clean(SenderNode& reader) {
    world_.scheduler.run_for(std::chrono::minutes(1));
    EXPECT_EQ(reader->stats().reads, 0U);
    EXPECT_EQ(receiver_->stats().reads, 0U);
    EXPECT_EQ(receiver_.pages().held, 0U);
    EXPECT_EQ(receiver_->audit(), "");
  }
  /// Applies to the first message of that type.
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

  World world_;
  ReceiverNode receiver_{world_, "r", 8};
  bool treated_ = false;
};

class SlowReadTest : public ReadTest {
 protected:
  SlowReadTest() : ReadTest(kSlow) {}
};

TEST_F(ReadTest, HitsAreReadAndMissesAreSaid) {
  put(0, 2);
  SenderNode reader(world_, 8);
  const auto read = reader.read(receiver_, 0, 3);
  run_to_end(read);
  const auto result = read->result();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->hits, 2U);
  EXPECT_EQ(result->bytes_read, 256U);
  EXPECT_TRUE(absl::IsNotFound(result->statuses[2])) << result->statuses[2];
  expect_bytes(*read, 0, 0);
  expect_bytes(*read, 1, 1);
  EXPECT_EQ(std::to_integer<int>(read->objects[2].bytes()[0]), 0xEE) << "a miss touches nothing";
  ASSERT_EQ(read->callbacks.size(), 3U);
  EXPECT_EQ(read->callbacks[2].first, tiny_key(2));
  EXPECT_TRUE(absl::IsNotFound(read->callbacks[2].second));
  read->objects.clear();
  EXPECT_EQ(reader.staging().counts().free, 8U) << "the references went back";
  expect_clean(reader);
}

TEST_F(ReadTest, AChunkOfAnotherLengthIsRefusedForItself) {
  put(0, 1);
  {
    SenderNode sender(world_, 8);
    auto spec = sender.spec("short", 1, 1);
    spec.objects = {sender.chunk(1, 2)};
    spec.last_chunk_toks = 2;
    const auto put = sender.submit(receiver_, std::move(spec));
    ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
    ASSERT_TRUE(receiver_.claim("short", tiny_keys(1, 1)).ok());
  }
  SenderNode reader(world_, 8);
  const auto read = reader.read(receiver_, 0, 2);
  run_to_end(read);
  ASSERT_TRUE(read->result().ok());
  EXPECT_EQ(read->result()->hits, 1U);
  EXPECT_THAT(std::string(read->result()->statuses[1].message()),
              HasSubstr("64 bytes at the receiver, its memory object 128"));
  expect_clean(reader);
}

TEST_F(ReadTest, BytesThatAreNotTheChunksAreFound) {
  put(0, 2);
  world_.hub.set_drop_read(
      [dropped = false](const auto& /*reader*/, const auto& /*receiver*/,
                        const auto& /*op*/) mutable { return !std::exchange(dropped, true); });
  SenderNode reader(world_, 8);
  const auto read = reader.read(receiver_, 0, 2);
  run_to_end(read);
  ASSERT_TRUE(read->result().ok());
  EXPECT_EQ(read->result()->hits, 1U);
  EXPECT_TRUE(absl::IsDataLoss(read->result()->statuses[0])) << read->result()->statuses[0];
  expect_bytes(*read, 1, 1);
  expect_clean(reader);
}

TEST_F(SlowReadTest, APageIsNotGrantedAgainWhileItIsRead) {
  put(0, 8);
  SenderNode reader(world_, 8);
  const auto read = reader.read(receiver_, 0, 8);
  ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver_->stats().reads == 1; }));
  SenderNode writer(world_, 8);
  const auto opened = writer.open(receiver_, "wants all", tiny_keys(100, 8));
  EXPECT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(read->done()) << "it got the pages before they were released";
  ASSERT_TRUE(read->result().ok());
  EXPECT_EQ(read->result()->hits, 8U);
  for (std::uint64_t i = 0; i < 8; ++i) {
    expect_bytes(*read, i, i);
  }
}

TEST_F(SlowReadTest, ADeadlineEndsItAndNothingComesAfterwards) {
  put(0, 8);
  SenderNode reader(world_, 8);
  const auto read = reader.read(receiver_, 0, 8, std::chrono::milliseconds(20));
  run_to_end(read);
  EXPECT_TRUE(absl::IsDeadlineExceeded(read->result().status())) << read->result().status();
  EXPECT_THAT(std::string(read->result().status().message()), HasSubstr("pd_read_timeout_ms"));
  ASSERT_EQ(read->callbacks.size(), 8U);
  EXPECT_TRUE(absl::IsDeadlineExceeded(read->callbacks[7].second));
  for (const MemoryObj& object : read->objects) {
    std::memset(object.bytes().data(), 0x77, object.bytes().size());
  }
  world_.scheduler.run_for(std::chrono::seconds(10));
  for (const MemoryObj& object : read->objects) {
    EXPECT_TRUE(std::ranges::all_of(object.bytes(), [](std::byte b) {
      return b == std::byte{0x77};
    })) << "a late read came through";
  }
  expect_clean(reader);
}

TEST_F(SlowReadTest, ItsReferencesStayUntilNothingIsWrittenAnyMore) {
  put(0, 8);
  auto config = SenderNode::default_config();
  config.drain_timeout = std::chrono::milliseconds(10);
  SenderNode reader(world_, 8, config);
  auto read = reader.read(receiver_, 0, 8);
  read->objects.clear();
  ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver_->stats().reads == 1; }));
  world_.scheduler.run_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(reader->cancel("read", absl::CancelledError(std::string("test"))));
  EXPECT_FALSE(reader->cancel("other", absl::CancelledError(std::string("test"))));
  world_.scheduler.run_ready();
  EXPECT_EQ(reader.staging().counts().free, 0U) << "it is read into still";
  run_to_end(read);
  EXPECT_TRUE(absl::IsCancelled(read->result().status())) << read->result().status();
  EXPECT_EQ(reader.staging().counts().free, 8U);
  expect_clean(reader);
}

TEST_F(SlowReadTest, ALostConnectionFailsIt) {
  put(0, 8);
  SenderNode reader(world_, 8);
  const auto read = reader.read(receiver_, 0, 8);
  ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver_->stats().reads == 1; }));
  world_.scheduler.run_for(std::chrono::milliseconds(5));
  world_.hub.break_connection(reader.epoch(), receiver_.epoch(),
                              absl::UnavailableError(std::string("cut")));
  run_to_end(read);
  EXPECT_TRUE(absl::IsUnavailable(read->result().status())) << read->result().status();
  expect_clean(reader);
  read->objects.clear();
  const auto again = reader.read(receiver_, 0, 8);
  run_to_end(again);
  EXPECT_TRUE(again->result().ok()) << "the link came back";
}

TEST_F(ReadTest, AnOlderReceiverIsNotAsked) {
  auto config = ReceiverNode::default_config();
  config.versions.max = 2;
  ReceiverNode old(world_, "old", 4, config);
  bool asked = false;
  world_.network.set_filter([&](const control::Envelope& envelope) -> std::vector<Duration> {
    asked |= wire::type_name(*wire::decode(envelope.payload, {})).starts_with("BatonRead");
    return {Duration::zero()};
  });
  SenderNode reader(world_, 8);
  const auto read = reader.read(old, 0, 1);
  run_to_end(read);
  EXPECT_TRUE(absl::IsFailedPrecondition(read->result().status()));
  EXPECT_THAT(std::string(read->result().status().message()), HasSubstr("reads need 3"));
  EXPECT_FALSE(asked);
}

TEST_F(ReadTest, ARefusalIsTold) {
  SenderNode reader(world_, 8);
  const auto read = reader.read(receiver_, 0, 1, std::chrono::seconds(301));
  run_to_end(read);
  EXPECT_TRUE(absl::IsInvalidArgument(read->result().status())) << read->result().status();
  EXPECT_THAT(std::string(read->result().status().message()), HasSubstr("pd_claim_ttl_ms"));
}

TEST_F(ReadTest, CloseEndsReadsToo) {
  std::shared_ptr<ReadSeen> read;
  {
    SenderNode reader(world_, 8);
    read = reader.read(receiver_, 0, 1);
    read->objects.clear();
  }
  ASSERT_TRUE(read->done());
  EXPECT_TRUE(absl::IsCancelled(read->result().status()));
}

TEST_F(ReadTest, AReadNobodyKnowsOfIsReleasedWhenItIsRemindedOf) {
  put(0, 1);
  // No answer comes in time; the reader has given up when the first of them does.
  bool loses = true;
  world_.network.set_filter([&](const control::Envelope& envelope) -> std::vector<Duration> {
    const auto type = wire::type_name(*wire::decode(envelope.payload, {}));
    const bool lost = loses && (type == "BatonReadResponse" || type == "BatonReadRelease");
    return lost ? std::vector<Duration>{} : std::vector<Duration>{Duration::zero()};
  });
  auto config = SenderNode::default_config();
  config.drain_timeout = std::chrono::minutes(10);  // So that the reminder is what helps.
  SenderNode reader(world_, 8, config);
  const auto read = reader.read(receiver_, 0, 1, std::chrono::milliseconds(100));
  run_to_end(read);
  EXPECT_EQ(receiver_.pages().held, 1U);
  loses = false;
  world_.scheduler.run_for(std::chrono::seconds(8));
  EXPECT_EQ(receiver_.pages().held, 0U);
  EXPECT_EQ(receiver_->stats().peers, 1U) << "nobody was fenced";
}

class LossyReadTest : public ReadTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void read_all() {
    put(0, 4);
    SenderNode reader(world_, 8);
    const auto read = reader.read(receiver_, 0, 4);
    run_to_end(read);
    ASSERT_TRUE(read->result().ok()) << read->result().status();
    EXPECT_EQ(read->result()->hits, 4U);
    EXPECT_EQ(read->callbacks.size(), 4U);
    expect_bytes(*read, 3, 3);
    expect_clean(reader);
    EXPECT_TRUE(treated_) << "there was no such message";
    EXPECT_EQ(reader->transports_in_use().size(), 1U) << "it cost the connection";
  }
};

TEST_P(LossyReadTest, LostOnceAndNothingIsLost) {
  treat_first(GetParam(), {});
  read_all();
}

TEST_P(LossyReadTest, ComesTwiceAndNothingHappensTwice) {
  treat_first(GetParam(), {Duration::zero(), std::chrono::milliseconds(3)});
  read_all();
}

TEST_P(LossyReadTest, ComesAgainMuchLater) {
  treat_first(GetParam(), {Duration::zero(), std::chrono::seconds(20)});
  read_all();
}

INSTANTIATE_TEST_SUITE_P(Messages, LossyReadTest,
                         ::testing::Values("BatonReadRequest", "BatonReadResponse",
                                           "BatonReadRelease", "BatonReadReleaseAck"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace baton
