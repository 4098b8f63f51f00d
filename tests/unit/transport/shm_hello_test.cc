// Who gets in: hostile hellos, wrong secrets, too many, too slow (P8).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/unit/transport/shm_test_peers.h"

namespace baton::transport::shm {
namespace {

class ShmHello : public ::testing::Test {
 protected:
  /// The right hello still works.
  void expect_open_door(RealPeer& receiver) {
    const PeerId writer = Epoch::random();
    raw_writer(receiver, receiver.expect(writer), writer);
  }
  const PeerId writer_ = Epoch::random();
};

TEST_F(ShmHello, NonsenseIsRefused) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  const std::string right = encode_packet(
      HelloPacket{.token = ticket.token, .sender = writer_, .receiver = receiver.id()});
  std::vector<std::string> hostile{std::string(1, 'x'),
                                   std::string(56, '\xFF'),
                                   std::string(100'000, 'x'),
                                   right.substr(0, 55),
                                   right + 'x',
                                   encode_packet(MappedPacket{}),
                                   encode_packet(ReleasedPacket{})};
  for (std::size_t byte = 0; byte < 8; ++byte) {
    hostile.push_back(right);
    hostile.back().at(byte) = static_cast<char>(hostile.back().at(byte) ^ 0x40);
  }
  for (const std::string& bytes : hostile) {
    RawConnection connection(ticket);
    ASSERT_TRUE(connection.say_bytes(bytes));
    EXPECT_TRUE(connection.await_refusal(RefusalReason::kMalformed)) << bytes.size() << " bytes";
    EXPECT_TRUE(connection.await_end());
  }
  EXPECT_EQ(receiver.counters().hellos_refused, hostile.size());
  expect_open_door(receiver);
}

TEST_F(ShmHello, AWrongSecretOrNameIsRefused) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  HelloPacket wrong_token{.token = ticket.token, .sender = writer_, .receiver = receiver.id()};
  wrong_token.token.back() ^= 1U;
  const HelloPacket unexpected{
      .token = ticket.token, .sender = Epoch::random(), .receiver = receiver.id()};
  const HelloPacket former_receiver{
      .token = ticket.token, .sender = writer_, .receiver = Epoch::random()};
  for (const HelloPacket& hello : {wrong_token, unexpected, former_receiver}) {
    RawConnection connection(ticket);
    ASSERT_TRUE(connection.say(hello));
    EXPECT_TRUE(connection.await_refusal(RefusalReason::kBadTicket));
    EXPECT_TRUE(connection.await_end());
  }
  EXPECT_EQ(receiver.counters().hellos_refused, 3U);
  EXPECT_EQ(receiver.count("connected", writer_), 0);
}

TEST_F(ShmHello, ADescriptorWithAHelloIsRefusedAndClosed) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  int ends[2] = {-1, -1};
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  RawConnection connection(ticket);
  ASSERT_TRUE(connection.say(
      HelloPacket{.token = ticket.token, .sender = writer_, .receiver = receiver.id()},
      write_end.get()));
  EXPECT_TRUE(connection.await_refusal(RefusalReason::kMalformed));
  write_end.reset();
  char byte = 0;
  EXPECT_EQ(read(read_end.get(), &byte, 1), 0) << "the receiver kept the descriptor";
}

TEST_F(ShmHello, ASecondConnectionWithALiveTicketIsRefused) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  RawConnection first = raw_writer(receiver, ticket, writer_);
  RawConnection second(ticket);
  second.hello(ticket, writer_);
  EXPECT_TRUE(second.await_refusal(RefusalReason::kInUse));
  EXPECT_EQ(receiver.count("gone", writer_), 0);
  // The first lives on: it is still asked, and its word counts.
  receiver.revoke(writer_);
  EXPECT_TRUE(first.await_packet<RevokePacket>());
  first.say(ReleasedPacket{});
  receiver.await("fenced", writer_);
}

TEST_F(ShmHello, AReleasedTicketWorksAgainAtOnce) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  for (int round = 0; round < 20; ++round) {
    RawConnection connection = raw_writer(receiver, ticket, writer_);
    connection.say(ReleasedPacket{});
    connection.close();
  }
}

TEST_F(ShmHello, ANewerTicketSupersedesTheOlderConnection) {
  RealPeer receiver;
  RawConnection older = raw_writer(receiver, receiver.expect(writer_), writer_);
  const Ticket newer = receiver.expect(writer_);
  RawConnection connection(newer);
  connection.hello(newer, writer_);
  EXPECT_TRUE(connection.await_packet<WelcomePacket>());
  EXPECT_TRUE(older.await_packet<RevokePacket>());
  connection.say(MappedPacket{});
  receiver.settle();
  EXPECT_EQ(receiver.count("connected", writer_), 1);
  EXPECT_EQ(receiver.count("gone", writer_), 0);

  // The fence covers both: each has, or may have, a mapping.
  receiver.revoke(writer_);
  EXPECT_TRUE(connection.await_packet<RevokePacket>());
  connection.say(ReleasedPacket{});
  receiver.settle();
  EXPECT_EQ(receiver.count("fenced", writer_), 0);
  older.say(ReleasedPacket{});
  receiver.await("fenced", writer_);
}

TEST_F(ShmHello, SilentConnectionsEndByTime) {
  ShmOptions options;
  options.listener.hello_timeout = std::chrono::milliseconds(1);
  RealPeer receiver(options);
  const RawConnection silent(receiver.expect(writer_));
  EXPECT_TRUE(silent.await_end());
  EXPECT_EQ(receiver.counters().hellos_missing, 1U);
}

TEST_F(ShmHello, SilentConnectionsAreFew) {
  ShmOptions options;
  options.listener.max_candidates = 2;
  RealPeer receiver(options);
  const Ticket ticket = receiver.expect(writer_);
  RawConnection first(ticket);
  RawConnection second(ticket);
  receiver.settle();
  const RawConnection third(ticket);
  EXPECT_TRUE(third.await_end());
  EXPECT_EQ(receiver.counters().connections_refused, 1U);
  second.close();
  receiver.settle();
  expect_open_door(receiver);
}

TEST_F(ShmHello, AnAwaitedPeerThatIsRevokedStaysOut) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  receiver.revoke(writer_);
  receiver.await("fenced", writer_);
  RawConnection connection(ticket);
  connection.hello(ticket, writer_);
  EXPECT_TRUE(connection.await_refusal(RefusalReason::kBadTicket));
}

}  // namespace
}  // namespace baton::transport::shm
