// Tickets and the messages that open a stream: the documented bytes, and nothing else (P8).
#include "src/transport/tcp/opening.h"

#include <gtest/gtest.h>

#include <string>

namespace baton::transport::tcp {
namespace {

Ticket some_ticket(std::string ip) {
  return {.streams = 2,
          .secret = Secret::random(),
          .receiver = Epoch::random(),
          .address = {.ip = std::move(ip), .port = 4711}};
}

template <std::size_t kBytes>
std::string text_of(const std::array<std::byte, kBytes>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename Bytes>
Bytes filled(std::uint8_t value) {
  Bytes bytes;
  bytes.fill(static_cast<typename Bytes::value_type>(value));
  return bytes;
}

TEST(TcpTicket, HasTheDocumentedBytes) {
  Ticket ticket = some_ticket(std::string("\x7f\0\0\1", 4));
  ticket.secret = Secret(filled<std::array<std::byte, kSecretBytes>>(0xAA));
  ticket.receiver.bytes.fill(0xBB);
  const std::string expected = std::string("BTNT\2\0\2\0", 8) + std::string(32, '\xAA') +
                               std::string(16, '\xBB') + std::string("\x67\x12\4\0\x7f\0\0\1", 8);
  EXPECT_EQ(encode(ticket), expected);
}

TEST(TcpTicket, ComesBack) {
  for (const std::size_t ip_bytes : {Address::kIpv4Bytes, Address::kIpv6Bytes}) {
    const Ticket ticket = some_ticket(std::string(ip_bytes, 'x'));
    const auto parsed = parse_ticket(encode(ticket));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->streams, 2);
    EXPECT_TRUE(parsed->secret == ticket.secret);
    EXPECT_EQ(parsed->receiver, ticket.receiver);
    EXPECT_EQ(parsed->address.ip, ticket.address.ip);
    EXPECT_EQ(parsed->address.port, 4711);
  }
}

TEST(TcpTicket, AnotherLengthIsRefused) {
  const std::string whole = encode(some_ticket(std::string(16, 'x')));
  for (std::size_t size = 0; size < whole.size() + 5; ++size) {
    std::string other = whole;
    other.resize(size);
    EXPECT_EQ(parse_ticket(other).ok(), size == whole.size()) << size;
  }
}

TEST(TcpTicket, NonsenseIsRefused) {
  const std::string right = encode(some_ticket(std::string(4, 'x')));
  for (const std::size_t at : {0U, 3U, 4U, 5U, 6U, 7U, 58U, 59U}) {
    std::string wrong = right;
    wrong[at] = static_cast<char>(wrong[at] ^ 0x10);
    EXPECT_EQ(parse_ticket(wrong).status().code(), StatusCode::kDataLoss) << "byte " << at;
  }
  Ticket ticket = some_ticket(std::string(4, 'x'));
  ticket.address.port = 0;
  EXPECT_FALSE(parse_ticket(encode(ticket)).ok());
  for (const std::uint16_t streams : {std::uint16_t{0}, std::uint16_t{kMaxStreams + 1}}) {
    ticket = some_ticket(std::string(4, 'x'));
    ticket.streams = streams;
    EXPECT_FALSE(parse_ticket(encode(ticket)).ok()) << streams;
  }
  ticket = some_ticket(std::string(4, 'x'));
  ticket.receiver = {};
  EXPECT_FALSE(parse_ticket(encode(ticket)).ok());
}

Hello some_hello() {
  return {.stream = 1,
          .streams = 3,
          .connection = 0x0102030405060708,
          .sender = {filled<decltype(PeerId::bytes)>(0x11)},
          .receiver = {filled<decltype(PeerId::bytes)>(0x22)},
          .nonce = filled<Nonce>(0x33)};
}

TEST(TcpHello, HasTheDocumentedBytesAndComesBack) {
  const Hello hello = some_hello();
  const HelloBytes bytes = encode(hello);
  EXPECT_EQ(text_of(bytes), std::string("BTNH\2\0\1\0\3\0\0\0\0\0\0\0", 16) +
                                "\x08\x07\x06\x05\x04\x03\x02\x01" + std::string(16, '\x11') +
                                std::string(16, '\x22') + std::string(32, '\x33'));
  const auto parsed = parse_hello(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->stream, hello.stream);
  EXPECT_EQ(parsed->streams, hello.streams);
  EXPECT_EQ(parsed->connection, hello.connection);
  EXPECT_EQ(parsed->sender, hello.sender);
  EXPECT_EQ(parsed->receiver, hello.receiver);
  EXPECT_EQ(parsed->nonce, hello.nonce);
}

TEST(TcpHello, NonsenseIsRefused) {
  for (std::size_t at = 10; at < 16; ++at) {
    HelloBytes wrong = encode(some_hello());
    wrong.at(at) = std::byte{1};
    EXPECT_FALSE(parse_hello(wrong).ok()) << "byte " << at;
  }
  Hello wrong = some_hello();
  wrong.stream = wrong.streams;
  EXPECT_FALSE(parse_hello(encode(wrong)).ok());
  wrong = some_hello();
  wrong.streams = kMaxStreams + 1;
  EXPECT_FALSE(parse_hello(encode(wrong)).ok());
  wrong = some_hello();
  wrong.connection = 0;
  EXPECT_FALSE(parse_hello(encode(wrong)).ok());
  wrong = some_hello();
  wrong.sender = {};
  EXPECT_FALSE(parse_hello(encode(wrong)).ok());
}

TEST(TcpChallenge, HasTheDocumentedBytesAndComesBack) {
  const Challenge challenge{.nonce = filled<Nonce>(0x44), .proof = filled<Proof>(0x55)};
  const ChallengeBytes bytes = encode(challenge);
  EXPECT_EQ(text_of(bytes), std::string("BTNC\2\0\0\0", 8) + std::string(8, '\0') +
                                std::string(32, '\x44') + std::string(32, '\x55'));
  const auto parsed = parse_challenge(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(parsed->same_version);
  EXPECT_EQ(parsed->nonce, challenge.nonce);
  EXPECT_EQ(parsed->proof, challenge.proof);
}

TEST(TcpChallenge, AnotherVersionComesBackWhateverItIs) {
  ChallengeBytes bytes = encode(Challenge{.same_version = false});
  bytes.at(4) = std::byte{77};
  const auto parsed = parse_challenge(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_FALSE(parsed->same_version);
  bytes.back() = std::byte{1};
  EXPECT_FALSE(parse_challenge(bytes).ok());
}

TEST(TcpChallenge, NonsenseIsRefused) {
  for (std::size_t at = 0; at < 16; ++at) {
    ChallengeBytes wrong = encode(Challenge{.nonce = filled<Nonce>(0x44)});
    wrong.at(at) ^= std::byte{0x10};
    EXPECT_FALSE(parse_challenge(wrong).ok()) << "byte " << at;
  }
}

TEST(TcpProof, HasTheDocumentedBytesAndNothingElseIsOne) {
  const Proof proof = filled<Proof>(0x66);
  const ProofBytes bytes = encode_proof(proof);
  EXPECT_EQ(text_of(bytes),
            std::string("BTNP\2\0", 6) + std::string(10, '\0') + std::string(32, '\x66'));
  EXPECT_EQ(*parse_proof(bytes), proof);
  for (std::size_t at = 0; at < 16; ++at) {
    ProofBytes wrong = bytes;
    wrong.at(at) ^= std::byte{0x10};
    EXPECT_FALSE(parse_proof(wrong).ok()) << "byte " << at;
  }
}

TEST(TcpVerdict, HasTheDocumentedBytesAndNothingElseIsOne) {
  const VerdictBytes refused = encode(Verdict::kRefused);
  EXPECT_EQ(text_of(refused), std::string("BTNA\2\0\1\0", 8) + std::string(8, '\0'));
  EXPECT_EQ(*parse_verdict(refused), Verdict::kRefused);
  EXPECT_EQ(*parse_verdict(encode(Verdict::kAccepted)), Verdict::kAccepted);
  for (std::size_t at = 0; at < refused.size(); ++at) {
    VerdictBytes wrong = refused;
    wrong.at(at) ^= std::byte{0x10};
    EXPECT_FALSE(parse_verdict(wrong).ok()) << "byte " << at;
  }
}

TEST(TcpProof, CoversTheWholeHello) {
  const ProofContext context = proof_context(some_hello(), filled<Nonce>(0x44));
  EXPECT_EQ(context.plane, "tcp");
  EXPECT_EQ(context.version, 2);
  EXPECT_EQ(context.stream, 1);
  EXPECT_EQ(context.streams, 3);
  EXPECT_EQ(context.connection, 0x0102030405060708U);
  EXPECT_EQ(context.sender, some_hello().sender);
  EXPECT_EQ(context.receiver, some_hello().receiver);
  EXPECT_EQ(context.sender_nonce, some_hello().nonce);
  EXPECT_EQ(context.receiver_nonce, filled<Nonce>(0x44));
}

}  // namespace
}  // namespace baton::transport::tcp
