#include "src/transport/tcp/frames.h"

#include <gtest/gtest.h>

#include <string>

namespace baton::transport::tcp {
namespace {

Ticket some_ticket(std::string ip) {
  return {.streams = 1,
          .token = random_token(),
          .receiver = Epoch::random(),
          .address = {.ip = std::move(ip), .port = 4711}};
}

TEST(TcpFrames, TicketsAreAsSpecified) {
  Ticket ticket = some_ticket(std::string("\x7f\0\0\1", 4));
  ticket.token.fill(std::byte{0xAA});
  ticket.receiver.bytes.fill(0xBB);
  const std::string expected = std::string("BTNT\1\0\1\0", 8) + std::string(16, '\xAA') +
                               std::string(16, '\xBB') + std::string("\x67\x12\4\0\x7f\0\0\1", 8);
  EXPECT_EQ(encode(ticket), expected);
}

TEST(TcpFrames, TicketsComeBack) {
  for (const std::size_t ip_bytes : {Address::kIpv4Bytes, Address::kIpv6Bytes}) {
    const Ticket ticket = some_ticket(std::string(ip_bytes, 'x'));
    const auto parsed = parse_ticket(encode(ticket));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->token, ticket.token);
    EXPECT_EQ(parsed->receiver, ticket.receiver);
    EXPECT_EQ(parsed->address.ip, ticket.address.ip);
    EXPECT_EQ(parsed->address.port, 4711);
  }
}

TEST(TcpFrames, TicketsOfAnotherLengthAreRefused) {
  const std::string whole = encode(some_ticket(std::string(16, 'x')));
  for (std::size_t size = 0; size < whole.size() + 5; ++size) {
    std::string other = whole;
    other.resize(size);
    EXPECT_EQ(parse_ticket(other).ok(), size == whole.size()) << size;
  }
}

TEST(TcpFrames, TicketsWithNonsenseAreRefused) {
  const std::string right = encode(some_ticket(std::string(4, 'x')));
  for (const std::size_t at : {0U, 3U, 4U, 5U, 42U, 43U}) {
    std::string wrong = right;
    wrong[at] = static_cast<char>(wrong[at] ^ 0x10);
    EXPECT_EQ(parse_ticket(wrong).status().code(), StatusCode::kDataLoss) << "byte " << at;
  }
  Ticket ticket = some_ticket(std::string(4, 'x'));
  ticket.address.port = 0;
  EXPECT_FALSE(parse_ticket(encode(ticket)).ok());
  ticket = some_ticket(std::string(4, 'x'));
  ticket.streams = 0;
  EXPECT_FALSE(parse_ticket(encode(ticket)).ok());
  ticket = some_ticket(std::string(4, 'x'));
  ticket.receiver = {};
  EXPECT_FALSE(parse_ticket(encode(ticket)).ok());
}

TEST(TcpFrames, HellosComeBackAndReservedBytesAreZero) {
  const Hello hello{
      .token = random_token(), .sender = Epoch::random(), .receiver = Epoch::random()};
  HelloBytes bytes = encode(hello);
  const auto parsed = parse_hello(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->token, hello.token);
  EXPECT_EQ(parsed->sender, hello.sender);
  EXPECT_EQ(parsed->receiver, hello.receiver);
  for (std::size_t at = 10; at < 16; ++at) {
    HelloBytes wrong = bytes;
    wrong.at(at) = std::byte{1};
    EXPECT_FALSE(parse_hello(wrong).ok()) << "byte " << at;
  }
  bytes.at(6) = std::byte{1};  // stream 1 of 1
  EXPECT_FALSE(parse_hello(bytes).ok());
}

TEST(TcpFrames, WritesComeBack) {
  const auto frame = parse_frame(encode(WriteHeader{.page = 0x01020304,
                                                    .generation = 0x1112131415161718,
                                                    .offset_bytes = 0x2122232425262728,
                                                    .length_bytes = 0x3132333435363738}));
  ASSERT_TRUE(frame.ok()) << frame.status();
  const auto& write = std::get<WriteHeader>(*frame);
  EXPECT_EQ(write.page, 0x01020304U);
  EXPECT_EQ(write.generation, 0x1112131415161718U);
  EXPECT_EQ(write.offset_bytes, 0x2122232425262728U);
  EXPECT_EQ(write.length_bytes, 0x3132333435363738U);
}

TEST(TcpFrames, EveryReservedByteOfAFrameIsZero) {
  const FrameBytes write = encode(WriteHeader{.page = 1, .generation = 1, .length_bytes = 1});
  for (const std::size_t at : {0U, 1U, 2U, 3U}) {
    FrameBytes wrong = write;
    wrong.at(at) = std::byte{9};
    EXPECT_FALSE(parse_frame(wrong).ok()) << "write, byte " << at;
  }
  const FrameBytes end = encode(EndOfBatch{3});
  ASSERT_EQ(std::get<EndOfBatch>(*parse_frame(end)).sequence, 3U);
  for (std::size_t at = 0; at < end.size(); ++at) {
    FrameBytes wrong = end;
    wrong.at(at) = std::byte{9};
    EXPECT_EQ(parse_frame(wrong).ok(), at >= 8 && at < 16) << "end, byte " << at;
  }
  const AckBytes ack = encode_ack(3);
  for (std::size_t at = 0; at < 8; ++at) {
    AckBytes wrong = ack;
    wrong.at(at) = std::byte{9};
    EXPECT_FALSE(parse_ack(wrong).ok()) << "acknowledgement, byte " << at;
  }
}

TEST(TcpFrames, AnswersComeBack) {
  for (const Answer answer : {Answer::kAccepted, Answer::kRefused, Answer::kOtherVersion}) {
    EXPECT_EQ(*parse_answer(encode(answer)), answer);
  }
  AnswerBytes wrong = encode(Answer::kAccepted);
  wrong.at(6) = std::byte{3};
  EXPECT_FALSE(parse_answer(wrong).ok());
  EXPECT_FALSE(parse_answer(AnswerBytes{}).ok());
}

TEST(TcpFrames, TokensDifferAndCompare) {
  const Token token = random_token();
  EXPECT_NE(token, random_token());
  EXPECT_TRUE(equal_in_constant_time(token, token));
  for (std::size_t at = 0; at < token.size(); ++at) {
    Token other = token;
    other.at(at) ^= std::byte{0x80};
    EXPECT_FALSE(equal_in_constant_time(token, other)) << at;
  }
}

}  // namespace
}  // namespace baton::transport::tcp
