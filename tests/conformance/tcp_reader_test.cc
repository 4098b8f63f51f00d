// Reads over tcp, with the receiver played by hand (P8): what it may not answer, and where nothing
// lands any more.
#include <optional>

#include "tests/conformance/tcp_strangers_test.h"

namespace baton::conformance {
namespace {

using namespace transport::tcp;  // NOLINT(google-build-using-namespace)

class TcpReaderTest : public TcpStrangersTest {
 protected:
  void SetUp() override {
    TcpStrangersTest::SetUp();
    const ReceiptPtr receipt = writer_->connect(raw_.ticket().receiver, encode(raw_.ticket()));
    stream_.emplace(raw_.accept_properly());
    ASSERT_TRUE(await(receipt));
    ASSERT_TRUE(receipt->status.ok()) << receipt->status;
    fill({writer_->buffer().data(), writer_->buffer().size_bytes()}, kUntouched);
  }

  transport::PeerId raw_id() const { return raw_.ticket().receiver; }

  ReadHeader hear_read() {
    const auto frame = parse_frame(stream_->hear_message<FrameBytes>());
    if (frame.ok() && std::holds_alternative<Heartbeat>(*frame)) {
      return hear_read();
    }
    EXPECT_TRUE(frame.ok() && std::holds_alternative<ReadHeader>(*frame));
    const bool is_read = frame.ok() && std::holds_alternative<ReadHeader>(*frame);
    return is_read ? std::get<ReadHeader>(*frame) : ReadHeader{};
  }

  void expect_untouched() {
    std::vector<std::byte> untouched(writer_->buffer().size_bytes());
    fill(untouched, kUntouched);
    on_loop([&] {
      EXPECT_TRUE(equal(untouched, {writer_->buffer().data(), writer_->buffer().size_bytes()}));
    });
  }

  RawReceiver raw_;
  std::optional<RawStream> stream_;
};

TEST_P(TcpReaderTest, AsksForAsManyAsMayWaitAndForMoreAsTheyAreAnswered) {
  const auto receipts = [&] {
    std::vector<ReceiptPtr> made;
    on_loop([&] { made = writer_->read_on_loop(raw_id(), 8); });  // of 16 pages each
    return made;
  }();
  std::uint32_t asked = 0;
  const auto hear_next = [&] {
    const ReadHeader read = hear_read();
    EXPECT_EQ(read.number, ++asked);
    EXPECT_EQ(read.page, (asked - 1) % kPageCount);
    EXPECT_EQ(read.length_bytes, kPageBytes);
  };
  while (asked < kMaxReads) {
    hear_next();
  }
  EXPECT_EQ(stream_->hear_message<FrameBytes>(), encode_frame(Heartbeat{}))
      << "nothing else to say";
  const std::vector<std::byte> bytes(kPageBytes, std::byte{0x11});
  for (std::uint32_t number = 1; number <= 8 * kPageCount; ++number) {
    stream_->say(encode_word(ReadData{.number = number, .length_bytes = kPageBytes}));
    stream_->say(bytes);
    if (asked < 8 * kPageCount) {
      hear_next();  // Comes only after an answer: never more than kMaxReads wait.
      EXPECT_EQ(asked, number + kMaxReads);
    }
  }
  ASSERT_TRUE(await(receipts.back()));
  EXPECT_TRUE(receipts.back()->status.ok()) << receipts.back()->status;
  EXPECT_TRUE(equal(writer_->buffer().page(5), bytes));
}

TEST_P(TcpReaderTest, AnswersThatWereNotAskedForAreNonsense) {
  const ReceiptPtr receipt =
      writer_->read(raw_id(), {writer_->read_op(0, 1, 0, 1000), writer_->read_op(1, 1, 0, 1000)});
  EXPECT_EQ(hear_read().number, 1U);
  EXPECT_EQ(hear_read().number, 2U);
  stream_->say(encode_word(ReadData{.number = 2, .length_bytes = 1000}));  // The other is next.
  stream_->say(std::vector<std::byte>(1000, std::byte{0x77}));
  ASSERT_TRUE(await(receipt));
  EXPECT_EQ(receipt->status.code(), StatusCode::kDataLoss) << receipt->status;
  expect_untouched();
}

TEST_P(TcpReaderTest, AnAnswerOfAnotherLengthIsNonsense) {
  const ReceiptPtr receipt = writer_->read(raw_id(), {writer_->read_op(0, 1, 0, 1000)});
  EXPECT_EQ(hear_read().number, 1U);
  stream_->say(encode_word(ReadData{.number = 1, .length_bytes = 1001}));
  stream_->say(std::vector<std::byte>(1001, std::byte{0x77}));
  ASSERT_TRUE(await(receipt));
  EXPECT_EQ(receipt->status.code(), StatusCode::kDataLoss) << receipt->status;
  expect_untouched();
}

TEST_P(TcpReaderTest, AnAnswerWithoutAReadIsNonsense) {
  stream_->say(encode_word(ReadData{.number = 1, .length_bytes = 1}));
  ASSERT_TRUE(run_until([&] { return writer_->receiver_gone(raw_id()) == 1; }));
  on_loop([&] { EXPECT_EQ(writer_->last_reason().code(), StatusCode::kDataLoss); });
  expect_untouched();
}

TEST_P(TcpReaderTest, WhatArrivesAfterADisconnectLandsNowhere) {
  const ReceiptPtr receipt = writer_->read(raw_id(), {writer_->read_op(0, 1, 0, kPageBytes)});
  EXPECT_EQ(hear_read().number, 1U);
  stream_->say(encode_word(ReadData{.number = 1, .length_bytes = kPageBytes}));
  stream_->say(std::vector<std::byte>(1000, std::byte{0x77}));
  expect_at_last([&] { return writer_->buffer().page(0)[999] == std::byte{0x77}; });
  on_loop([&] { writer_->transport().disconnect(raw_id()); });
  ASSERT_TRUE(await(receipt));
  EXPECT_EQ(receipt->status.code(), StatusCode::kCancelled) << receipt->status;
  on_loop([&] { fill({writer_->buffer().data(), writer_->buffer().size_bytes()}, kUntouched); });
  stream_->say(std::vector<std::byte>(kPageBytes - 1000, std::byte{0x77}));
  stream_->hear_to_the_end();
  expect_untouched();
}

TEST_P(TcpReaderTest, AReadDoesNotWaitBehindWritesThatAreQueued) {
  std::vector<ReceiptPtr> writes;
  on_loop([&] {
    writes = writer_->write_on_loop(raw_id(), 64);  // 64 MiB: more than the kernel takes
    writer_->transport().read_batch(raw_id(), {writer_->read_op(0, 1, 0, 8)}, [](const Status&) {});
  });
  std::uint64_t written_before = 0;
  while (true) {
    const auto frame = parse_frame(stream_->hear_message<FrameBytes>());
    ASSERT_TRUE(frame.ok()) << frame.status();
    if (std::holds_alternative<ReadHeader>(*frame)) {
      break;
    }
    if (const auto* write = std::get_if<WriteHeader>(&*frame)) {
      stream_->hear(write->length_bytes);
      written_before += write->length_bytes;
    }
  }
  EXPECT_LT(written_before, 64U * kPageCount * kPageBytes / 2);
}

BATON_ON_TCP(TcpReaderTest, transport::TcpOptions());

}  // namespace
}  // namespace baton::conformance
