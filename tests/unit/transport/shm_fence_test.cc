// The receiver's fence: only the word `released`, or the end of the process, is proof (P3).
#include <gtest/gtest.h>

#include <future>
#include <string>

#include "tests/unit/transport/shm_test_peers.h"

namespace baton::transport::shm {
namespace {

// The raw writers live in this process, which does not end: only their word can fence them.
class ShmFence : public ::testing::Test {
 protected:
  void expect_pending() {
    receiver_.settle();
    EXPECT_EQ(receiver_.count("fenced", writer_), 0);
  }

  RealPeer receiver_;
  const PeerId writer_ = Epoch::random();
};

TEST_F(ShmFence, WaitsForTheWord) {
  RawConnection connection = raw_writer(receiver_, receiver_.expect(writer_), writer_);
  receiver_.revoke(writer_);
  EXPECT_TRUE(connection.await_packet<RevokePacket>());
  expect_pending();
  EXPECT_EQ(receiver_.expect_peer(writer_).status().code(), StatusCode::kFailedPrecondition);
  connection.say(ReleasedPacket{});
  receiver_.await("fenced", writer_);
  EXPECT_EQ(receiver_.count("gone", writer_), 0) << "revoke() itself ended it";
  EXPECT_TRUE(receiver_.expect_peer(writer_).ok());
}

TEST_F(ShmFence, AWelcomedWriterThatSaidNothingMayHaveMapped) {
  const Ticket ticket = receiver_.expect(writer_);
  RawConnection connection(ticket);
  connection.apply(ticket, writer_);
  EXPECT_TRUE(connection.await_packet<WelcomePacket>());
  receiver_.revoke(writer_);
  expect_pending();
  connection.say(MappedPacket{});  // It crosses with our revoke: no offence.
  expect_pending();
  connection.say(ReleasedPacket{});
  receiver_.await("fenced", writer_);
  EXPECT_EQ(receiver_.count("connected", writer_), 1) << "told with the welcome";
}

TEST_F(ShmFence, AClosedSocketProvesNothing) {
  RawConnection connection = raw_writer(receiver_, receiver_.expect(writer_), writer_);
  connection.close();
  EXPECT_EQ(receiver_.await("gone", writer_), StatusCode::kUnavailable);
  EXPECT_EQ(receiver_.counters().writers_severed, 1U);
  receiver_.revoke(writer_);
  expect_pending();
}

TEST_F(ShmFence, ACloseAfterRevokeProvesNothingEither) {
  RawConnection connection = raw_writer(receiver_, receiver_.expect(writer_), writer_);
  receiver_.revoke(writer_);
  EXPECT_TRUE(connection.await_packet<RevokePacket>());
  connection.close();
  expect_pending();
}

TEST_F(ShmFence, ARevokedTicketOpensNothingWhileTheFenceIsPending) {
  const Ticket ticket = receiver_.expect(writer_);
  RawConnection connection = raw_writer(receiver_, ticket, writer_);
  connection.close();
  EXPECT_EQ(receiver_.await("gone", writer_), StatusCode::kUnavailable);
  receiver_.revoke(writer_);
  RawConnection again(ticket);
  again.apply(ticket, writer_);
  EXPECT_TRUE(again.await_refusal(RefusalReason::kBadTicket));
  expect_pending();
}

TEST_F(ShmFence, BreakingTheRulesProvesNothing) {
  const std::string hostile[] = {
      encode_packet(MappedPacket{}),  // twice
      encode_packet(RevokePacket{}),         encode_packet(HelloPacket{}), "x",
      encode_packet(ReleasedPacket{}) + "x", std::string(100'000, 'x')};
  for (const std::string& bytes : hostile) {
    const PeerId writer = Epoch::random();
    RawConnection connection = raw_writer(receiver_, receiver_.expect(writer), writer);
    connection.say_bytes(bytes);
    EXPECT_EQ(receiver_.await("gone", writer), StatusCode::kDataLoss);
    connection.say(ReleasedPacket{});  // Too late to be believed.
    receiver_.revoke(writer);
    receiver_.settle();
    EXPECT_EQ(receiver_.count("fenced", writer), 0);
  }
}

TEST_F(ShmFence, ARevokeAfterAReleaseIsProvenAlready) {
  RawConnection connection = raw_writer(receiver_, receiver_.expect(writer_), writer_);
  connection.say(ReleasedPacket{});
  EXPECT_EQ(receiver_.await("gone", writer_), StatusCode::kUnavailable);
  receiver_.revoke(writer_);
  receiver_.await("fenced", writer_);
}

TEST_F(ShmFence, TheWordCountsBehindAConnectionReset) {
  RawConnection connection = raw_writer(receiver_, receiver_.expect(writer_), writer_);
  receiver_.revoke(writer_);
  ASSERT_TRUE(connection.wait_readable());
  // With the loop held up, and our `revoke` unread, the close resets the connection before the
  // receiver has looked at the word.
  std::promise<void> closed;
  receiver_.loop().post([&] { closed.get_future().wait(); });
  connection.say(ReleasedPacket{});
  connection.close();
  closed.set_value();
  receiver_.await("fenced", writer_);
}

TEST_F(ShmFence, EveryRevokeIsAnswered) {
  RawConnection connection = raw_writer(receiver_, receiver_.expect(writer_), writer_);
  receiver_.revoke(writer_);
  receiver_.revoke(writer_);
  connection.say(ReleasedPacket{});
  receiver_.await("fenced", writer_, 1);
}

TEST_F(ShmFence, ClosingTheTransportEndsTheWait) {
  RawConnection connection = raw_writer(receiver_, receiver_.expect(writer_), writer_);
  receiver_.revoke(writer_);
  expect_pending();
  receiver_.close();
  receiver_.await("fenced", writer_);
}

TEST_F(ShmFence, MappingsWithoutProofAreBounded) {
  const Ticket ticket = receiver_.expect(writer_);
  bool refused = false;
  for (int i = 0; i < 50 && !refused; ++i) {
    RawConnection connection(ticket);
    connection.apply(ticket, writer_);
    const Received answer = connection.await();
    refused = answer.descriptors.empty();
    connection.close();  // Without a word.
    receiver_.settle();
  }
  EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace baton::transport::shm
