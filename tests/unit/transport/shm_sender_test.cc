// The sender against receivers that lie, vanish, or say nothing; and what it says when it leaves.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/unit/transport/shm_test_peers.h"

namespace baton::transport::shm {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::uint32_t kPageCount = 2;
constexpr std::size_t kFileBytes = kPageBytes * kPageCount;

class ShmSenderTest : public ::testing::Test {
 protected:
  ShmSenderTest() : listening_(*listen_on(socket_name(ticket_.socket_id))) {}

  /// The sender's connection, with its hello read.
  RawConnection accept_hello(HelloPacket& hello) {
    pollfd poll_fd{.fd = listening_.get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&poll_fd, 1, 20'000), 1);
    RawConnection connection(
        UniqueFd(accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)));
    const auto packet = decode_packet(connection.await().bytes);
    EXPECT_TRUE(packet.ok() && std::holds_alternative<HelloPacket>(*packet));
    hello = std::get<HelloPacket>(*packet);
    EXPECT_EQ(hello.sender, sender_.id());
    EXPECT_EQ(hello.receiver, ticket_.receiver);
    return connection;
  }
  static ChallengePacket challenge_to(const HelloPacket& hello, const Secret& secret) {
    ChallengePacket challenge{.nonce = random_nonce()};
    challenge.proof =
        make_proof(secret, ProofRole::kReceiver, proof_context(hello, challenge.nonce));
    return challenge;
  }
  /// The sender's connection, with both proofs given.
  RawConnection accept_proven() {
    HelloPacket hello;
    RawConnection connection = accept_hello(hello);
    const ChallengePacket challenge = challenge_to(hello, ticket_.secret);
    connection.say(challenge);
    const auto packet = decode_packet(connection.await().bytes);
    EXPECT_TRUE(packet.ok() && std::holds_alternative<ProofPacket>(*packet));
    EXPECT_TRUE(proof_is_right(std::get<ProofPacket>(*packet).proof, ticket_.secret,
                               ProofRole::kSender, proof_context(hello, challenge.nonce)));
    return connection;
  }
  RawConnection begin(Duration time = kPatience) {
    sender_.connect(ticket_.receiver, encode_ticket(ticket_), time);
    return accept_proven();
  }
  /// A connected sender.
  RawConnection welcome_properly() {
    RawConnection connection = begin();
    connection.say(kWelcome, memfd_.get());
    EXPECT_TRUE(connection.await_packet<MappedPacket>());
    EXPECT_EQ(sender_.await("connect", ticket_.receiver), StatusCode::kOk);
    return connection;
  }
  /// Failed so, and said `released` before it closed.
  void expect_failed_cleanly(const RawConnection& connection, StatusCode code) {
    EXPECT_EQ(sender_.await("connect", ticket_.receiver), code);
    EXPECT_TRUE(connection.await_packet<ReleasedPacket>());
    EXPECT_TRUE(connection.await_end());
    EXPECT_EQ(sender_.count("receiver gone", ticket_.receiver), 0);
  }
  static UniqueFd make_memfd(int seals) {
    UniqueFd fd(memfd_create("shm-sender-test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(ftruncate(fd.get(), kFileBytes), 0);
    EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
    return fd;
  }
  WriteOp op(std::uint32_t page, std::uint64_t offset_bytes, std::size_t length_bytes) {
    return {.local = sender_.buffer().page(0).first(length_bytes),
            .page = page,
            .generation = 1,
            .offset_bytes = offset_bytes};
  }

  static constexpr WelcomePacket kWelcome{
      .page_bytes = kPageBytes, .file_bytes = kFileBytes, .page_count = kPageCount};

  const Ticket ticket_{.receiver = Epoch::random(),
                       .page_bytes = kPageBytes,
                       .page_count = kPageCount,
                       .socket_id = Epoch::random().bytes,
                       .secret = Secret::random()};
  UniqueFd memfd_ = make_memfd(F_SEAL_SHRINK | F_SEAL_GROW);
  UniqueFd listening_;
  RealPeer sender_;
};

TEST_F(ShmSenderTest, AnUnsealedFileIsRefused) {
  RawConnection connection = begin();
  const UniqueFd unsealed = make_memfd(0);
  connection.say(kWelcome, unsealed.get());
  expect_failed_cleanly(connection, StatusCode::kDataLoss);
}

TEST_F(ShmSenderTest, AShortFileIsRefused) {
  RawConnection connection = begin();
  WelcomePacket welcome = kWelcome;
  welcome.file_bytes = 2 * kFileBytes;
  connection.say(welcome, memfd_.get());
  expect_failed_cleanly(connection, StatusCode::kDataLoss);
}

TEST_F(ShmSenderTest, AnotherGeometryThanTheTicketsIsRefused) {
  RawConnection connection = begin();
  WelcomePacket welcome = kWelcome;
  welcome.page_count = 1;
  connection.say(welcome, memfd_.get());
  expect_failed_cleanly(connection, StatusCode::kDataLoss);
}

TEST_F(ShmSenderTest, AWelcomeWithoutAFileIsRefused) {
  RawConnection connection = begin();
  connection.say(kWelcome);
  expect_failed_cleanly(connection, StatusCode::kDataLoss);
}

TEST_F(ShmSenderTest, NonsenseIsRefused) {
  RawConnection connection = begin();
  connection.say_bytes(std::string(1000, 'x'));
  expect_failed_cleanly(connection, StatusCode::kDataLoss);
}

TEST_F(ShmSenderTest, RefusalsHaveTheirCodes) {
  RawConnection bad_ticket = begin();
  bad_ticket.say(RefusedPacket{RefusalReason::kBadTicket});
  expect_failed_cleanly(bad_ticket, StatusCode::kPermissionDenied);
  EXPECT_EQ(refusal_status(RefusalReason::kInUse).code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(refusal_status(RefusalReason::kMalformed).code(), StatusCode::kDataLoss);
  EXPECT_EQ(refusal_status(RefusalReason::kNotNow).code(), StatusCode::kUnavailable);
}

TEST_F(ShmSenderTest, AnImpostorLearnsNothing) {
  sender_.connect(ticket_.receiver, encode_ticket(ticket_));
  HelloPacket hello;
  RawConnection connection = accept_hello(hello);
  connection.say(challenge_to(hello, Secret::random()));
  expect_failed_cleanly(connection, StatusCode::kPermissionDenied);
}

TEST_F(ShmSenderTest, AWelcomeBeforeTheProofIsRefused) {
  sender_.connect(ticket_.receiver, encode_ticket(ticket_));
  HelloPacket hello;
  RawConnection connection = accept_hello(hello);
  connection.say(kWelcome, memfd_.get());
  expect_failed_cleanly(connection, StatusCode::kDataLoss);
}

TEST_F(ShmSenderTest, SilenceEndsByTime) {
  const RawConnection connection = begin(std::chrono::milliseconds(20));
  expect_failed_cleanly(connection, StatusCode::kDeadlineExceeded);
}

TEST_F(ShmSenderTest, AClosedConnectionIsUnavailable) {
  begin().close();
  EXPECT_EQ(sender_.await("connect", ticket_.receiver), StatusCode::kUnavailable);
}

TEST_F(ShmSenderTest, ARevokeIsObeyedAtOnce) {
  RawConnection connection = welcome_properly();
  connection.say(RevokePacket{});
  EXPECT_TRUE(connection.await_packet<ReleasedPacket>());
  EXPECT_EQ(sender_.await("receiver gone", ticket_.receiver), StatusCode::kUnavailable);
  sender_.write(ticket_.receiver, {op(0, 0, 1)});
  EXPECT_EQ(sender_.await("write", ticket_.receiver), StatusCode::kUnavailable);
}

TEST_F(ShmSenderTest, DisconnectSaysReleasedAndTheObserverIsNotTold) {
  RawConnection connection = welcome_properly();
  sender_.disconnect(ticket_.receiver);
  EXPECT_TRUE(connection.await_packet<ReleasedPacket>());
  EXPECT_TRUE(connection.await_end());
  sender_.settle();
  EXPECT_EQ(sender_.count("receiver gone", ticket_.receiver), 0);
}

TEST_F(ShmSenderTest, AReceiverThatVanishesIsReported) {
  RawConnection connection = welcome_properly();
  connection.close();
  EXPECT_EQ(sender_.await("receiver gone", ticket_.receiver), StatusCode::kUnavailable);
}

TEST_F(ShmSenderTest, OpsOutsideTheReceiversPagesAreRefusedHere) {
  const RawConnection connection = welcome_properly();
  const std::vector<WriteOp> outside{op(kPageCount, 0, 1), op(0, kPageBytes, 1),
                                     op(1, 1, kPageBytes), op(0, ~std::uint64_t{0}, 2)};
  std::size_t written = 0;
  for (const WriteOp& bad : outside) {
    sender_.write(ticket_.receiver, {op(0, 0, 1), bad});
    EXPECT_EQ(sender_.await("write", ticket_.receiver, written++), StatusCode::kInvalidArgument);
  }
  sender_.write(ticket_.receiver, {op(1, kPageBytes - 1, 1)});
  EXPECT_EQ(sender_.await("write", ticket_.receiver, written), StatusCode::kOk);
}

TEST_F(ShmSenderTest, ASecondConnectIsRefused) {
  const RawConnection connection = welcome_properly();
  sender_.connect(ticket_.receiver, encode_ticket(ticket_));
  EXPECT_EQ(sender_.await("connect", ticket_.receiver, 1), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace baton::transport::shm
