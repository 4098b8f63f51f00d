// Strangers at the door of the tcp data plane (P8): nothing is spent on them beyond the stated
// bound, nothing is given away, and nobody else is held up.
#include <chrono>
#include <functional>

#include "tests/conformance/tcp_strangers_test.h"

namespace baton::conformance {
namespace {

using namespace transport::tcp;  // NOLINT(google-build-using-namespace)
using transport::ProofRole;
using transport::Secret;
using transport::TcpTransport;

class TcpHostileTest : public TcpStrangersTest {
 protected:
  /// Goes all the way with this secret, and is refused at the end of it.
  void expect_refused(const Hello& hello, const Secret& secret) {
    RawStream stranger(port());
    EXPECT_EQ(stranger.open(hello, secret), Verdict::kRefused);
    EXPECT_TRUE(stranger.hear_to_the_end().empty());
    on_loop([&] { EXPECT_EQ(receiver_->connected(peer_), 0); });
  }

  /// Runs `test` with a listener that has options of its own.
  void serve_apart(const transport::TcpOptions& options,
                   const std::function<void(TcpTransport&)>& test) {
    auto& reactor = dynamic_cast<EventLoopDriver&>(world().driver()).reactor();
    const auto apart = TcpTransport::create(reactor, Epoch::random(), options);
    ASSERT_TRUE(apart.ok()) << apart.status();
    on_loop([&] { EXPECT_TRUE((*apart)->attach(receiver_->buffer()).ok()); });
    test(**apart);
    on_loop([&] {
      (*apart)->close();
      (*apart)->join();
    });
  }
};

TEST_P(TcpHostileTest, NoiseInsteadOfAHello) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<std::byte> noise(seed % 2 == 0 ? sizeof(HelloBytes) : 100'000);
    fill(noise, seed);
    RawStream stranger(port());
    stranger.say(noise);
    EXPECT_TRUE(stranger.hear_to_the_end().empty());
  }
  EXPECT_EQ(stats().rejected_openings, 20U);
  expect_all_well();
}

TEST_P(TcpHostileTest, NoiseInsteadOfAProof) {
  const Ticket ticket = ticket_for(peer_);
  RawStream stranger(port());
  stranger.greet(hello_of(peer_));
  ProofBytes noise;
  fill(noise, 5);
  stranger.say(noise);
  EXPECT_TRUE(equal(stranger.hear_to_the_end(), encode(Verdict::kRefused)));
  expect_all_well();
}

TEST_P(TcpHostileTest, AHelloOrASecretThatIsWrongInOnePlace) {
  const Ticket ticket = ticket_for(peer_);
  const Hello right = hello_of(peer_);
  Hello wrong = right;
  wrong.sender = Epoch::random();
  expect_refused(wrong, ticket.secret);
  wrong = right;
  wrong.receiver = Epoch::random();
  expect_refused(wrong, ticket.secret);
  wrong = right;
  wrong.streams = static_cast<std::uint16_t>(ticket.streams + 1);
  expect_refused(wrong, ticket.secret);
  expect_refused(right, Secret::random());
  expect_refused(right, Secret());
  EXPECT_EQ(stats().rejected_openings, 5U);
  RawStream stranger(port());
  EXPECT_EQ(stranger.open(right, ticket.secret), Verdict::kAccepted) << "the ticket still opens";
  expect_all_well();
}

TEST_P(TcpHostileTest, AnotherVersionIsToldSo) {
  Hello hello = hello_of(peer_);
  hello.version = 1;
  RawStream stranger(port());
  EXPECT_FALSE(stranger.greet(hello).same_version);
  EXPECT_TRUE(stranger.hear_to_the_end().empty());
}

TEST_P(TcpHostileTest, TheReceiverProvesItselfOnlyToWhoIsExpected) {
  const Ticket ticket = ticket_for(peer_);
  const auto proves_itself = [&](const Hello& hello) {
    RawStream stranger(port());
    const Challenge challenge = stranger.greet(hello);
    return proof_is_right(challenge.proof, ticket.secret, ProofRole::kReceiver,
                          proof_context(hello, challenge.nonce));
  };
  EXPECT_TRUE(proves_itself(hello_of(peer_)));
  EXPECT_FALSE(proves_itself(hello_of(Epoch::random())));
}

TEST_P(TcpHostileTest, AProofOfAnotherConnectionIsRefused) {
  const Ticket ticket = ticket_for(peer_);
  const Hello hello = hello_of(peer_);
  RawStream first(port());
  const Challenge heard = first.greet(hello);
  // All that an eavesdropper has: the same hello, the proof for it, and the receiver's own proof.
  RawStream replay(port());
  replay.greet(hello);
  EXPECT_EQ(replay.prove(hello, heard, ticket.secret), Verdict::kRefused);
  RawStream reflection(port());
  reflection.say(encode_proof(reflection.greet(hello).proof));
  EXPECT_TRUE(equal(reflection.hear_to_the_end(), encode(Verdict::kRefused)));
  EXPECT_EQ(first.prove(hello, heard, ticket.secret), Verdict::kAccepted);
  expect_all_well();
}

TEST_P(TcpHostileTest, APeersSecretDoesNotOpenInAnothersName) {
  const Ticket own = ticket_for(Epoch::random());
  ticket_for(peer_);
  expect_refused(hello_of(peer_), own.secret);
  expect_refused(hello_of(writer_->id()), own.secret);
  on_loop([&] { EXPECT_EQ(receiver_->writer_gone(writer_->id()), 0); });
  expect_all_well();
}

TEST_P(TcpHostileTest, ATicketThatEndsAfterTheChallengeOpensNothing) {
  const Hello hello = hello_of(peer_);
  const Ticket revoked = ticket_for(peer_);
  RawStream first(port());
  const Challenge to_first = first.greet(hello);
  ASSERT_TRUE(await(receiver_->revoke(peer_)));
  EXPECT_EQ(first.prove(hello, to_first, revoked.secret), Verdict::kRefused);

  const Ticket replaced = ticket_for(peer_);
  RawStream second(port());
  const Challenge to_second = second.greet(hello);
  ticket_for(peer_);
  EXPECT_EQ(second.prove(hello, to_second, replaced.secret), Verdict::kRefused);
}

TEST_P(TcpHostileTest, NothingIsCarriedOverFromATruncatedHello) {
  const Ticket ticket = ticket_for(peer_);
  {
    RawStream stranger(port());
    const HelloBytes hello = encode(hello_of(peer_));
    stranger.say(std::span(hello).first(sizeof(hello) - 1));
  }
  expect_refused(hello_of(peer_), Secret::random());
  expect_all_well();
}

TEST_P(TcpHostileTest, ThousandsOfConnectionsKeepNobodyOut) {
  constexpr int kRounds = 8;
  constexpr int kAtOnce = 300;
  const Ticket ticket = ticket_for(peer_);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<RawStream> flood;
    flood.reserve(kAtOnce);
    for (int i = 0; i < kAtOnce; ++i) {
      flood.emplace_back(port(), "127.0.0.2");
      if (i % 3 != 0) {  // nothing, half a hello, or a whole one in an honest peer's name
        const HelloBytes hello = encode(hello_of(writer_->id()));
        flood.back().say(std::span(hello).first(i % 3 == 1 ? 40 : hello.size()));
      }
    }
    Node& honest = add_node();
    connect(honest, *receiver_);  // Comes last, and is not the one who has to go.
    const std::size_t over = kAtOnce - transport::TcpOptions{}.max_unproven;
    for (std::size_t i = 0; i < over; ++i) {
      flood[i].hear_to_the_end();
    }
  }
  EXPECT_EQ(stats().rejected_openings, 0U);
  expect_all_well();
}

TEST_P(TcpHostileTest, TheOldestSilentConnectionMakesRoom) {
  transport::TcpOptions options;
  options.max_unproven = 2;
  options.opening_timeout = std::chrono::hours(1);
  serve_apart(options, [&](TcpTransport& apart) {
    RawStream oldest(apart.address().port);
    const RawStream second(apart.address().port);
    const RawStream third(apart.address().port);
    EXPECT_TRUE(oldest.hear_to_the_end().empty());
    on_loop([&] { EXPECT_EQ(apart.stats().expired_openings, 1U); });
  });
}

TEST_P(TcpHostileTest, ASlowOpeningIsNotWaitedForLong) {
  transport::TcpOptions options;
  options.opening_timeout = std::chrono::milliseconds(20);
  serve_apart(options, [&](TcpTransport& apart) {
    RawStream slow_hello(apart.address().port);
    slow_hello.say(std::array{std::byte{'B'}, std::byte{'T'}});
    EXPECT_TRUE(slow_hello.hear_to_the_end().empty());
    RawStream no_proof(apart.address().port);
    no_proof.say(encode(hello_of(peer_)));
    EXPECT_EQ(no_proof.hear_to_the_end().size(), sizeof(ChallengeBytes));
    on_loop([&] { EXPECT_EQ(apart.stats().expired_openings, 2U); });
  });
}

TEST_P(TcpHostileTest, WhatIsSentWithTheProofIsReadAsFrames) {
  const Ticket ticket = ticket_for(peer_);
  const Hello hello = hello_of(peer_);
  RawStream stranger(port());
  const Challenge challenge = stranger.greet(hello);
  const ProofBytes proof = encode_proof(
      make_proof(ticket.secret, ProofRole::kSender, proof_context(hello, challenge.nonce)));
  const FrameBytes end = encode_frame(EndOfBatch{1});
  std::vector<std::byte> all(proof.begin(), proof.end());
  all.insert(all.end(), end.begin(), end.end());
  stranger.say(all);
  EXPECT_EQ(stranger.hear_message<VerdictBytes>(), encode(Verdict::kAccepted));
  EXPECT_EQ(stranger.hear_message<WordBytes>(), encode_word(Acknowledgement{1}));
}

BATON_ON_TCP(TcpHostileTest, transport::TcpOptions());

}  // namespace
}  // namespace baton::conformance
