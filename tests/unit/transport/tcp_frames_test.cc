#include "src/transport/tcp/frames.h"

#include <gtest/gtest.h>

#include <array>

namespace baton::transport::tcp {
namespace {

TEST(TcpFrames, WritesComeBack) {
  const auto frame = parse_frame(encode_frame(WriteHeader{.page = 0x01020304,
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

TEST(TcpFrames, ReadsHaveTheDocumentedBytesAndComeBack) {
  const FrameBytes bytes = encode_frame(ReadHeader{.page = 0x01020304,
                                                   .generation = 0x1112131415161718,
                                                   .offset_bytes = 0x2122232425262728,
                                                   .length_bytes = 0x00030201,
                                                   .number = 0xF1F2F3F4});
  constexpr std::array<unsigned, 32> kExpected{5,    0,    0,    0,    0x04, 0x03, 0x02, 0x01,
                                               0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
                                               0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,
                                               0x01, 0x02, 0x03, 0,    0xF4, 0xF3, 0xF2, 0xF1};
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    EXPECT_EQ(std::to_integer<unsigned>(bytes.at(at)), kExpected.at(at)) << "byte " << at;
  }
  const auto frame = parse_frame(bytes);
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_EQ(encode_frame(std::get<ReadHeader>(*frame)), bytes);
}

TEST(TcpFrames, AReadIsOfOneByteToItsLimit) {
  const auto is_read = [](std::uint32_t length_bytes) {
    return parse_frame(encode_frame(ReadHeader{.length_bytes = length_bytes, .number = 1})).ok();
  };
  EXPECT_FALSE(is_read(0));
  EXPECT_TRUE(is_read(1));
  EXPECT_TRUE(is_read(256U << 10U));
  EXPECT_FALSE(is_read((256U << 10U) + 1));
  const auto is_data = [](std::uint64_t length_bytes) {
    return parse_word(encode_word(ReadData{.number = 1, .length_bytes = length_bytes})).ok();
  };
  EXPECT_FALSE(is_data(0));
  EXPECT_TRUE(is_data(256U << 10U));
  EXPECT_FALSE(is_data((256U << 10U) + 1));
  EXPECT_FALSE(is_data(~std::uint64_t{0}));
}

TEST(TcpFrames, EveryReservedByteOfAFrameIsZero) {
  const FrameBytes read = encode_frame(ReadHeader{.page = 1, .length_bytes = 1, .number = 1});
  const WordBytes data = encode_word(ReadData{.number = 1, .length_bytes = 1});
  for (const std::size_t at : {1U, 2U, 3U}) {
    FrameBytes wrong = read;
    wrong.at(at) = std::byte{9};
    EXPECT_FALSE(parse_frame(wrong).ok()) << "read, byte " << at;
    WordBytes wrong_data = data;
    wrong_data.at(at) = std::byte{9};
    EXPECT_FALSE(parse_word(wrong_data).ok()) << "read data, byte " << at;
  }
  const FrameBytes write = encode_frame(WriteHeader{.page = 1, .generation = 1, .length_bytes = 1});
  for (const std::size_t at : {0U, 1U, 2U, 3U}) {
    FrameBytes wrong = write;
    wrong.at(at) = std::byte{9};
    EXPECT_FALSE(parse_frame(wrong).ok()) << "write, byte " << at;
  }
  const FrameBytes end = encode_frame(EndOfBatch{3});
  ASSERT_EQ(std::get<EndOfBatch>(*parse_frame(end)).sequence, 3U);
  const FrameBytes heartbeat = encode_frame(Heartbeat{});
  ASSERT_TRUE(std::holds_alternative<Heartbeat>(*parse_frame(heartbeat)));
  for (std::size_t at = 0; at < end.size(); ++at) {
    FrameBytes wrong = end;
    wrong.at(at) = std::byte{9};
    EXPECT_EQ(parse_frame(wrong).ok(), at >= 8 && at < 16) << "end, byte " << at;
    wrong = heartbeat;
    wrong.at(at) = std::byte{9};
    EXPECT_FALSE(parse_frame(wrong).ok()) << "heartbeat, byte " << at;
  }
}

TEST(TcpFrames, WordsComeBackAndTheirReservedBytesAreZero) {
  const WordBytes ack = encode_word(Acknowledgement{3});
  ASSERT_EQ(std::get<Acknowledgement>(*parse_word(ack)).sequence, 3U);
  const WordBytes heartbeat = encode_word(Heartbeat{});
  ASSERT_TRUE(std::holds_alternative<Heartbeat>(*parse_word(heartbeat)));
  for (std::size_t at = 0; at < ack.size(); ++at) {
    WordBytes wrong = ack;
    wrong.at(at) = std::byte{9};
    EXPECT_EQ(parse_word(wrong).ok(), at >= 8) << "acknowledgement, byte " << at;
    wrong = heartbeat;
    wrong.at(at) = std::byte{9};
    EXPECT_FALSE(parse_word(wrong).ok()) << "heartbeat, byte " << at;
  }
}

TEST(TcpFrames, AFrameIsNoWord) {
  WordBytes bytes{};
  bytes.front() = encode_frame(EndOfBatch{1}).front();
  EXPECT_EQ(parse_word(bytes).status().code(), StatusCode::kDataLoss);
  bytes.front() = encode_frame(ReadHeader{.length_bytes = 1}).front();
  EXPECT_EQ(parse_word(bytes).status().code(), StatusCode::kDataLoss);
  FrameBytes frame{};
  frame.front() = encode_word(Acknowledgement{1}).front();
  EXPECT_EQ(parse_frame(frame).status().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace baton::transport::tcp
