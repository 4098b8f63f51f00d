// What the logics tell each other over an shm connection: parts that lie, peers that don't read,
// and that neither keeps a mapping from being given back. Promises: P3, P5, P8.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>

#include "tests/unit/transport/shm_test_peers.h"

namespace baton::transport::shm {
namespace {

using ::testing::ElementsAre;

constexpr std::size_t kMaxMessageBytes = 1U << 20U;

std::string part(std::uint32_t left_bytes, const std::string& bytes) {
  return encode_message_head(left_bytes) + bytes;
}

ShmOptions small_messages() {
  ShmOptions options;
  options.max_message_bytes = kMaxMessageBytes;
  return options;
}

class ShmLane : public ::testing::Test {
 protected:
  RawConnection connect_raw() { return raw_writer(receiver_, receiver_.expect(writer_), writer_); }
  void expect_severed(const std::string& packet, int descriptor = -1) {
    RawConnection connection = connect_raw();
    connection.say_bytes(packet, descriptor);
    EXPECT_EQ(receiver_.await("gone", writer_), StatusCode::kDataLoss);
    EXPECT_EQ(receiver_.heard().size(), 0U);
  }
  /// Until it is refused: the peer doesn't read.
  template <typename Tell>
  void fill(Tell tell) {
    Status status;
    for (int i = 0; status.ok() && i < 64; ++i) {
      status = tell(std::string(256U << 10U, 'x'));
    }
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
  }

  RealPeer receiver_{small_messages()};
  const PeerId writer_ = Epoch::random();
};

TEST_F(ShmLane, PartsMakeAMessage) {
  RawConnection connection = connect_raw();
  connection.say_bytes(part(5, "one "));
  connection.say_bytes(part(2, "two"));
  connection.say_bytes(part(0, " 3"));
  connection.say_bytes(part(0, "next"));
  receiver_.await("heard", writer_, 1);
  EXPECT_THAT(receiver_.heard(), ElementsAre("one two 3", "next"));
}

TEST_F(ShmLane, NobodySpeaksBeforeItHasMapped) {
  const Ticket ticket = receiver_.expect(writer_);
  RawConnection connection(ticket);
  connection.apply(ticket, writer_);
  EXPECT_TRUE(connection.await_packet<WelcomePacket>());
  connection.say_bytes(part(0, "early"));
  EXPECT_EQ(receiver_.await("gone", writer_), StatusCode::kDataLoss);
  EXPECT_EQ(receiver_.heard().size(), 0U);
}

TEST_F(ShmLane, ALongerMessageThanAllowedEndsTheConnectionAtItsFirstPart) {
  expect_severed(part(kMaxMessageBytes, "x"));
}

TEST_F(ShmLane, AClaimOfFourGigabytesDoesToo) {
  expect_severed(part(UINT32_MAX, "x"));
}

TEST_F(ShmLane, APartWithoutBytesIsNone) {
  expect_severed(part(3, ""));
}

TEST_F(ShmLane, ADescriptorHasNoPlaceInAMessage) {
  expect_severed(part(0, "x"), 0);
}

TEST_F(ShmLane, PartsMustSayWhatIsLeft) {
  for (const std::uint32_t left_bytes : {0U, 3U, 5U}) {  // 4 would be right.
    const PeerId writer = Epoch::random();
    RawConnection connection = raw_writer(receiver_, receiver_.expect(writer), writer);
    connection.say_bytes(part(6, "abc"));
    connection.say_bytes(part(left_bytes, "de"));
    EXPECT_EQ(receiver_.await("gone", writer), StatusCode::kDataLoss) << left_bytes;
  }
  EXPECT_EQ(receiver_.heard().size(), 0U);
}

TEST_F(ShmLane, AWriterThatDoesNotReadIsStillAskedToRelease) {
  RawConnection connection = connect_raw();
  ASSERT_TRUE(receiver_.tell_writer(writer_, "hello").ok());
  fill([&](const std::string& message) { return receiver_.tell_writer(writer_, message); });
  receiver_.revoke(writer_);
  bool asked = false;
  for (int packets = 0; !asked && packets < 1'000; ++packets) {
    const Received received = connection.await();
    ASSERT_EQ(received.kind, Received::Kind::kPacket);
    const auto packet = decode_packet(received.bytes);
    asked = packet.ok() && std::holds_alternative<RevokePacket>(*packet);
  }
  EXPECT_TRUE(asked);
  connection.say(ReleasedPacket{});
  receiver_.await("fenced", writer_);
}

TEST_F(ShmLane, WhatAWriterSaysWhileItIsRevokedIsNotHeard) {
  RawConnection connection = connect_raw();
  receiver_.revoke(writer_);
  EXPECT_TRUE(connection.await_packet<RevokePacket>());
  connection.say_bytes(part(0, "too late"));
  connection.say(ReleasedPacket{});
  receiver_.await("fenced", writer_);
  EXPECT_EQ(receiver_.heard().size(), 0U);
}

TEST_F(ShmLane, NobodyIsToldWhoIsNotConnected) {
  EXPECT_EQ(receiver_.tell_writer(writer_, "x").code(), StatusCode::kUnavailable);
  EXPECT_EQ(receiver_.tell_receiver(writer_, "x").code(), StatusCode::kUnavailable);
  RawConnection connection = connect_raw();
  EXPECT_TRUE(receiver_.tell_writer(writer_, "x").ok());
  receiver_.revoke(writer_);
  EXPECT_EQ(receiver_.tell_writer(writer_, "x").code(), StatusCode::kUnavailable);
}

class ShmLaneOfSender : public ShmLane {
 protected:
  ShmLaneOfSender() {
    const auto ticket = receiver_.expect_peer(sender_.id());
    sender_.connect(receiver_.id(), *ticket);
    EXPECT_EQ(sender_.await("connect", receiver_.id()), StatusCode::kOk);
  }

  RealPeer sender_{small_messages()};
};

TEST_F(ShmLaneOfSender, MessagesKeepTheirOrderBothWays) {
  std::vector<std::string> said;
  for (const std::size_t bytes : {std::size_t{1}, kMaxMessagePartBytes, kMaxMessagePartBytes + 1,
                                  std::size_t{7}, kMaxMessageBytes}) {
    said.emplace_back(bytes, static_cast<char>('a' + said.size()));
    EXPECT_TRUE(sender_.tell_receiver(receiver_.id(), said.back()).ok());
  }
  receiver_.await("heard", sender_.id(), said.size() - 1);
  EXPECT_EQ(receiver_.heard(), said);
  for (const std::string& message : said) {
    EXPECT_TRUE(receiver_.tell_writer(sender_.id(), message).ok());
  }
  sender_.await("heard", receiver_.id(), said.size() - 1);
  EXPECT_EQ(sender_.heard(), said);
}

TEST_F(ShmLaneOfSender, TooLongOrEmptyIsRefusedWhereItIsSaid) {
  EXPECT_EQ(sender_.tell_receiver(receiver_.id(), std::string(kMaxMessageBytes + 1, 'x')).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(sender_.tell_receiver(receiver_.id(), "").code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(sender_.tell_receiver(receiver_.id(), "x").ok());
}

TEST_F(ShmLaneOfSender, AReceiverThatDoesNotReadStillHearsThatTheMappingIsGone) {
  // Its loop stands still: nothing is read, and the word must find room all the same.
  std::promise<void> reads_again;
  std::shared_future<void> gate = reads_again.get_future().share();
  receiver_.loop().post([gate] { gate.wait(); });
  fill([&](const std::string& message) { return sender_.tell_receiver(receiver_.id(), message); });
  sender_.disconnect(receiver_.id());
  reads_again.set_value();
  receiver_.await("gone", sender_.id());
  receiver_.revoke(sender_.id());
  receiver_.await("fenced", sender_.id());  // By its word: the process lives on.
}

}  // namespace
}  // namespace baton::transport::shm
