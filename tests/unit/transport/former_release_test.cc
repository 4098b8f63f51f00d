// What the release before reads wrote, byte for byte, and what it takes: a fleet is upgraded one
// process at a time, so today's sides must accept the former and say nothing else. The literals
// are that release's output; they stay as they are for as long as a peer of it may be met.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "src/transport/tcp/frames.h"
#include "src/transport/tcp/opening.h"
#include "src/transport/tcp/tcp_transport.h"
#include "src/transport/ucx/offer.h"
#include "tests/conformance/loop_driver.h"

namespace baton::transport::tcp {
namespace {

// Of a ticket with the secret AA…, sender 11…, receiver 22…, nonces 33… (sender) and 44….
constexpr std::string_view kFormerTicket =
    "42544e5402000200aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "22222222222222222222222222222222671204007f000001";
constexpr std::string_view kFormerHello =
    "42544e480200010002000000000000000700000000000000"
    "1111111111111111111111111111111122222222222222222222222222222222"
    "3333333333333333333333333333333333333333333333333333333333333333";
constexpr std::string_view kFormerChallenge =
    "42544e43020000000000000000000000"
    "4444444444444444444444444444444444444444444444444444444444444444"
    "e60d6212984f65bc166db8046768ce276e2a1155f429c59175242d5762724061";
constexpr std::string_view kFormerProof =
    "42544e50020000000000000000000000"
    "dc3a58631aeefb3e2ceebf24bc0b897ba29729efcd7a528396ee33b939f70e1c";
constexpr std::string_view kFormerVerdict = "42544e41020000000000000000000000";

constexpr std::string_view kFormerWrite =
    "0100000003000000040000000000000005000000000000000600000000000000";
constexpr std::string_view kFormerEndOfBatch =
    "0200000000000000090000000000000000000000000000000000000000000000";
constexpr std::string_view kFormerAcknowledgement = "03000000000000000900000000000000";

template <typename Bytes>
std::string hex(const Bytes& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    text += kDigits.at(value >> 4U);
    text += kDigits.at(value & 15U);
  }
  return text;
}

template <typename Bytes>
Bytes from_hex(std::string_view text) {
  Bytes bytes{};
  EXPECT_EQ(text.size(), 2 * bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes.at(i) = static_cast<typename Bytes::value_type>(
        std::stoul(std::string(text.substr(2 * i, 2)), nullptr, 16));
  }
  return bytes;
}

template <typename Bytes>
Bytes filled(std::uint8_t value) {
  Bytes bytes;
  bytes.fill(static_cast<typename Bytes::value_type>(value));
  return bytes;
}

Ticket ticket() {
  return {.streams = 2,
          .secret = Secret(filled<std::array<std::byte, kSecretBytes>>(0xAA)),
          .receiver = {filled<decltype(PeerId::bytes)>(0x22)},
          .address = {.ip = std::string("\x7f\0\0\1", 4), .port = 4711}};
}

Hello hello() {
  return {.stream = 1,
          .streams = 2,
          .connection = 7,
          .sender = {filled<decltype(PeerId::bytes)>(0x11)},
          .receiver = {filled<decltype(PeerId::bytes)>(0x22)},
          .nonce = filled<Nonce>(0x33)};
}

ProofContext context() {
  return proof_context(hello(), filled<Nonce>(0x44));
}

TEST(FormerRelease, FindsItsOwnTicketInOurs) {
  EXPECT_EQ(hex(encode(ticket())), kFormerTicket);
}

TEST(FormerRelease, GivesATicketThatWeUse) {
  const auto bytes = from_hex<std::array<char, 64>>(kFormerTicket);
  const auto parsed = parse_ticket({bytes.data(), bytes.size()});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(parsed->secret == ticket().secret);
}

TEST(FormerRelease, ReceivesOurHelloAndProof) {
  EXPECT_EQ(hex(encode(hello())), kFormerHello);
  EXPECT_EQ(hex(encode_proof(make_proof(ticket().secret, ProofRole::kSender, context()))),
            kFormerProof);
}

TEST(FormerRelease, AnswersOurHelloWithAChallengeAndAVerdictThatWeBelieve) {
  const auto challenge = parse_challenge(from_hex<ChallengeBytes>(kFormerChallenge));
  ASSERT_TRUE(challenge.ok()) << challenge.status();
  EXPECT_TRUE(challenge->same_version);
  EXPECT_TRUE(proof_is_right(challenge->proof, ticket().secret, ProofRole::kReceiver, context()));
  const auto verdict = parse_verdict(from_hex<VerdictBytes>(kFormerVerdict));
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(*verdict, Verdict::kAccepted);
}

TEST(FormerRelease, SaysAHelloAndAProofThatWeAccept) {
  const auto greeting = parse_hello(from_hex<HelloBytes>(kFormerHello));
  ASSERT_TRUE(greeting.ok()) << greeting.status();
  EXPECT_EQ(greeting->version, kVersion);  // Else it is told that another version is spoken here.
  EXPECT_EQ(greeting->connection, 7U);
  const auto proof = parse_proof(from_hex<ProofBytes>(kFormerProof));
  ASSERT_TRUE(proof.ok()) << proof.status();
  EXPECT_TRUE(proof_is_right(*proof, ticket().secret, ProofRole::kSender, context()));
}

TEST(FormerRelease, ReceivesOurChallengeAndVerdict) {
  const Nonce nonce = filled<Nonce>(0x44);
  const Proof proof = make_proof(ticket().secret, ProofRole::kReceiver, context());
  EXPECT_EQ(hex(encode(Challenge{.nonce = nonce, .proof = proof})), kFormerChallenge);
  EXPECT_EQ(hex(encode(Verdict::kAccepted)), kFormerVerdict);
}

TEST(FormerRelease, WritesAndAcknowledgesAsWeDo) {
  EXPECT_EQ(hex(encode_frame(
                WriteHeader{.page = 3, .generation = 4, .offset_bytes = 5, .length_bytes = 6})),
            kFormerWrite);
  EXPECT_EQ(hex(encode_frame(EndOfBatch{9})), kFormerEndOfBatch);
  EXPECT_EQ(hex(encode_word(Acknowledgement{9})), kFormerAcknowledgement);
  const auto write = parse_frame(from_hex<FrameBytes>(kFormerWrite));
  const auto end = parse_frame(from_hex<FrameBytes>(kFormerEndOfBatch));
  const auto ack = parse_word(from_hex<WordBytes>(kFormerAcknowledgement));
  EXPECT_TRUE(write.ok() && std::holds_alternative<WriteHeader>(*write)) << write.status();
  EXPECT_TRUE(end.ok() && std::holds_alternative<EndOfBatch>(*end)) << end.status();
  EXPECT_TRUE(ack.ok() && std::holds_alternative<Acknowledgement>(*ack)) << ack.status();
}

TEST(FormerRelease, OffersTcpThatWeServeAndServesWhatWeOffer) {
  conformance::EventLoopDriver driver;
  const auto transport = TcpTransport::create(driver.reactor(), Epoch::random(), {});
  ASSERT_TRUE(transport.ok()) << transport.status();
  EXPECT_TRUE((*transport)->can_serve("2"));
  EXPECT_EQ((*transport)->offer(), "2");  // It compares the whole.
  driver.stop();
  (*transport)->join();
}

TEST(FormerRelease, OffersUcxThatWeServeAndServesWhatWeOffer) {
  EXPECT_TRUE(ucx::offers_meet(ucx::make_offer({}, /*tcp_too=*/true), "ucx1 roce tcp"));
  EXPECT_EQ(ucx::make_offer({}, /*tcp_too=*/true), "ucx1 tcp");
}

}  // namespace
}  // namespace baton::transport::tcp
