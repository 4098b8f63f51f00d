#include "src/transport/tcp/frames.h"

#include <gtest/gtest.h>

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

TEST(TcpFrames, EveryReservedByteOfAFrameIsZero) {
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
  FrameBytes frame{};
  frame.front() = encode_word(Acknowledgement{1}).front();
  EXPECT_EQ(parse_frame(frame).status().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace baton::transport::tcp
