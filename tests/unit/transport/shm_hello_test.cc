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
  HelloPacket hello_to(const PeerId& receiver) const {
    return {.sender = writer_, .receiver = receiver, .nonce = random_nonce()};
  }
  const PeerId writer_ = Epoch::random();
};

TEST_F(ShmHello, NonsenseIsRefused) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  const std::string right = encode_packet(hello_to(receiver.id()));
  std::vector<std::string> hostile{std::string(1, 'x'),
                                   std::string(72, '\xFF'),
                                   std::string(100'000, 'x'),
                                   right.substr(0, 71),
                                   right + 'x',
                                   encode_packet(MappedPacket{}),
                                   encode_packet(ReleasedPacket{}),
                                   encode_packet(ProofPacket{}),
                                   encode_packet(ChallengePacket{})};
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
  EXPECT_EQ(receiver.counters().openings_refused, hostile.size());
  expect_open_door(receiver);
}

TEST_F(ShmHello, AWrongSecretOrNameIsRefused) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  const auto refused = [&](const HelloPacket& hello, const Secret& secret) {
    RawConnection connection(ticket);
    connection.prove(hello, connection.greet(hello), secret);
    return connection.await_refusal(RefusalReason::kBadTicket) && connection.await_end();
  };
  const HelloPacket right = hello_to(receiver.id());
  HelloPacket unexpected = right;
  unexpected.sender = Epoch::random();
  EXPECT_TRUE(refused(unexpected, ticket.secret));
  EXPECT_TRUE(refused(hello_to(Epoch::random()), ticket.secret));
  EXPECT_TRUE(refused(right, Secret::random()));
  EXPECT_TRUE(refused(right, receiver.expect(Epoch::random()).secret)) << "another peer's";
  EXPECT_EQ(receiver.counters().openings_refused, 4U);
  EXPECT_EQ(receiver.count("connected", writer_), 0);
  raw_writer(receiver, ticket, writer_);
}

TEST_F(ShmHello, OnlyTheReceiverOfTheTicketProvesItself) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  const auto proves_itself = [&](const HelloPacket& hello) {
    RawConnection connection(ticket);
    const ChallengePacket challenge = connection.greet(hello);
    return proof_is_right(challenge.proof, ticket.secret, ProofRole::kReceiver,
                          proof_context(hello, challenge.nonce));
  };
  EXPECT_TRUE(proves_itself(hello_to(receiver.id())));
  EXPECT_FALSE(proves_itself(hello_to(Epoch::random())));
}

TEST_F(ShmHello, AProofOfAnotherConnectionIsRefused) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  const HelloPacket hello = hello_to(receiver.id());
  RawConnection first(ticket);
  const ChallengePacket heard = first.greet(hello);
  RawConnection replay(ticket);
  replay.greet(hello);
  replay.prove(hello, heard, ticket.secret);
  EXPECT_TRUE(replay.await_refusal(RefusalReason::kBadTicket));
  RawConnection reflection(ticket);
  reflection.say(ProofPacket{reflection.greet(hello).proof});
  EXPECT_TRUE(reflection.await_refusal(RefusalReason::kBadTicket));
  first.prove(hello, heard, ticket.secret);
  EXPECT_TRUE(first.await_packet<WelcomePacket>());
}

TEST_F(ShmHello, ATicketThatEndsAfterTheChallengeOpensNothing) {
  RealPeer receiver;
  const HelloPacket hello = hello_to(receiver.id());
  const Ticket replaced = receiver.expect(writer_);
  RawConnection first(replaced);
  const ChallengePacket to_first = first.greet(hello);
  const Ticket revoked = receiver.expect(writer_);
  first.prove(hello, to_first, replaced.secret);
  EXPECT_TRUE(first.await_refusal(RefusalReason::kBadTicket));
  RawConnection second(revoked);
  const ChallengePacket to_second = second.greet(hello);
  receiver.revoke(writer_);
  receiver.await("fenced", writer_);
  second.prove(hello, to_second, revoked.secret);
  EXPECT_TRUE(second.await_refusal(RefusalReason::kBadTicket));
}

TEST_F(ShmHello, TheDescriptorComesOnlyAfterTheProof) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  RawConnection connection(ticket);
  connection.say(hello_to(receiver.id()));
  EXPECT_TRUE(connection.await().descriptors.empty());
  connection.say(MappedPacket{});
  EXPECT_TRUE(connection.await_refusal(RefusalReason::kMalformed));
  EXPECT_TRUE(connection.await_end());
}

TEST_F(ShmHello, ADescriptorWithAHelloIsRefusedAndClosed) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  int ends[2] = {-1, -1};
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  RawConnection connection(ticket);
  ASSERT_TRUE(connection.say(hello_to(receiver.id()), write_end.get()));
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
  second.apply(ticket, writer_);
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
  connection.apply(newer, writer_);
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
  options.listener.opening_timeout = std::chrono::milliseconds(1);
  RealPeer receiver(options);
  const Ticket ticket = receiver.expect(writer_);
  const RawConnection silent(ticket);
  EXPECT_TRUE(silent.await_end());
  RawConnection without_proof(ticket);
  without_proof.say(hello_to(receiver.id()));
  while (!without_proof.await_end()) {  // The challenge may come first.
  }
  EXPECT_EQ(receiver.counters().openings_expired, 2U);
}

TEST_F(ShmHello, SilentConnectionsAreFewAndMakeRoom) {
  ShmOptions options;
  options.listener.max_candidates = 2;
  options.listener.opening_timeout = std::chrono::hours(1);
  RealPeer receiver(options);
  const Ticket ticket = receiver.expect(writer_);
  const RawConnection oldest(ticket);
  const RawConnection second(ticket);
  receiver.settle();
  EXPECT_EQ(receiver.counters().openings_expired, 0U);
  expect_open_door(receiver);
  EXPECT_TRUE(oldest.await_end());
  EXPECT_EQ(receiver.counters().openings_expired, 1U);
}

TEST_F(ShmHello, AnAwaitedPeerThatIsRevokedStaysOut) {
  RealPeer receiver;
  const Ticket ticket = receiver.expect(writer_);
  receiver.revoke(writer_);
  receiver.await("fenced", writer_);
  RawConnection connection(ticket);
  connection.apply(ticket, writer_);
  EXPECT_TRUE(connection.await_refusal(RefusalReason::kBadTicket));
}

}  // namespace
}  // namespace baton::transport::shm
