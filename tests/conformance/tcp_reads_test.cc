// Reads over tcp, with the reader played by hand (P5, P8): what it may not ask, what it gets, and
// that it holds up nobody else.
#include <algorithm>
#include <functional>

#include "tests/conformance/tcp_strangers_test.h"

namespace baton::conformance {
namespace {

using namespace transport::tcp;  // NOLINT(google-build-using-namespace)

constexpr auto kWholePage = static_cast<std::uint32_t>(kPageBytes);

ReadHeader whole_page(std::uint32_t number, std::uint64_t generation = 1) {
  return {.page = number % kPageCount,
          .generation = generation,
          .offset_bytes = 0,
          .length_bytes = kWholePage,
          .number = number};
}

class TcpReadsTest : public TcpStrangersTest {
 protected:
  /// Asks for as many pages, from the first number on.
  static void ask(RawStream& stranger, std::uint32_t reads, std::uint32_t first = 1) {
    std::vector<std::byte> frames;
    for (std::uint32_t i = 0; i < reads; ++i) {
      const FrameBytes frame = encode_frame(whole_page(first + i));
      frames.insert(frames.end(), frame.begin(), frame.end());
    }
    stranger.say(frames);
  }

  /// The next word that is no heartbeat.
  static Word hear_word(RawStream& stranger) {
    while (true) {
      const auto word = parse_word(stranger.hear_message<WordBytes>());
      if (!word.ok()) {
        ADD_FAILURE() << word.status();
        return Heartbeat{};
      }
      if (!std::holds_alternative<Heartbeat>(*word)) {
        return *word;
      }
    }
  }

  void expect_answer(RawStream& stranger, std::uint32_t number) {
    const Word word = hear_word(stranger);
    const auto* data = std::get_if<ReadData>(&word);
    ASSERT_NE(data, nullptr);
    ASSERT_EQ(data->number, number);
    ASSERT_EQ(data->length_bytes, kPageBytes);
    const auto heard = stranger.hear(kPageBytes);
    EXPECT_TRUE(equal(heard, receiver_->buffer().page(number % kPageCount))) << number;
  }

  void expect_gone(const transport::PeerId& peer, StatusCode code) {
    ASSERT_TRUE(run_until([&] { return receiver_->writer_gone(peer) == 1; }));
    on_loop([&] { EXPECT_EQ(receiver_->last_reason().code(), code); });
  }
};

TEST_P(TcpReadsTest, AnswersComeInOrderWithTheBytesOfTheirPages) {
  RawStream stranger = proven_stranger(peer_);
  ask(stranger, 40);
  for (std::uint32_t number = 1; number <= 40; ++number) {
    expect_answer(stranger, number);
  }
  ReadHeader part{.page = 3, .generation = 1, .offset_bytes = 777, .length_bytes = 1, .number = 41};
  stranger.say(encode_frame(part));
  EXPECT_EQ(stranger.hear_message<WordBytes>(),
            encode_word(ReadData{.number = 41, .length_bytes = 1}));
  EXPECT_EQ(stranger.hear(1).front(), receiver_->buffer().page(3)[777]);
}

TEST_P(TcpReadsTest, FramesThatMakeNoSense) {
  ReadHeader empty = whole_page(1);
  empty.length_bytes = 0;
  ReadHeader too_long = whole_page(1);
  too_long.length_bytes = kMaxReadBytes + 1;
  FrameBytes not_zero = encode_frame(whole_page(1));
  not_zero[2] = std::byte{1};
  const std::vector<FrameBytes> frames{encode_frame(empty), encode_frame(too_long), not_zero,
                                       encode_frame(whole_page(0)), encode_frame(whole_page(2))};
  for (const FrameBytes& frame : frames) {
    const transport::PeerId peer = Epoch::random();
    RawStream stranger = proven_stranger(peer);
    stranger.say(frame);
    expect_ended(stranger, peer, StatusCode::kDataLoss);
  }
  EXPECT_EQ(stats().broken_streams, frames.size());
}

TEST_P(TcpReadsTest, TheSameNumberTwice) {
  RawStream stranger = proven_stranger(peer_);
  ask(stranger, 1);
  expect_answer(stranger, 1);
  ask(stranger, 1);
  expect_ended(stranger, peer_, StatusCode::kDataLoss);
}

TEST_P(TcpReadsTest, ReadsOutsideWhatMayBeRead) {
  ReadHeader no_such_page = whole_page(1);
  no_such_page.page = kPageCount;
  ReadHeader wraps = whole_page(1);
  wraps.offset_bytes = ~std::uint64_t{0} - 49;
  ReadHeader beyond = whole_page(1);
  beyond.offset_bytes = 1;
  ReadHeader too_long = whole_page(1);
  too_long.length_bytes = kWholePage + 1;
  const std::vector<ReadHeader> reads{no_such_page, wraps, beyond, too_long, whole_page(1, 2)};
  for (const ReadHeader& read : reads) {
    const transport::PeerId peer = Epoch::random();
    RawStream stranger = proven_stranger(peer);
    stranger.say(encode_frame(read));
    expect_ended(stranger, peer, StatusCode::kPermissionDenied);
  }
  EXPECT_EQ(stats().rejected_reads, reads.size());
}

TEST_P(TcpReadsTest, WhoAsksForMoreThanMayWaitIsCutOff) {
  RawStream stranger = proven_stranger(peer_);
  // It takes no answer: the kernel does, until its buffers are full.
  for (std::uint32_t number = 1; number < 10'000 && stats().broken_streams == 0; number += 32) {
    ask(stranger, 32, number);
  }
  EXPECT_EQ(stats().broken_streams, 1U);
  expect_gone(peer_, StatusCode::kDataLoss);
  expect_all_well();
}

TEST_P(TcpReadsTest, AReaderThatTakesNothingHoldsUpNobodyAndIsFenced) {
  RawStream stranger = proven_stranger(peer_);
  ask(stranger, kMaxReads);
  // Its writes still land: the receiver does not wait for it.
  stranger.say(encode_frame(WriteHeader{.page = 9, .generation = 1, .length_bytes = 1}));
  stranger.say(std::array{std::byte{0x77}});
  expect_at_last([&] { return receiver_->buffer().page(9).front() == std::byte{0x77}; });
  const ReceiptPtr read = writer_->read(receiver_->id(), {writer_->read_op(9, 1, 0, kPageBytes)});
  ASSERT_TRUE(await(read));
  EXPECT_TRUE(read->status.ok()) << read->status;
  expect_honest_writer_goes_on();
  ASSERT_TRUE(await(receiver_->revoke(peer_)));
  stranger.hear_to_the_end();
}

TEST_P(TcpReadsTest, AcknowledgementsGoBetweenAnswersNeverInside) {
  RawStream stranger = proven_stranger(peer_);
  constexpr std::uint64_t kBatches = 20;
  for (std::uint64_t batch = 1; batch <= kBatches; ++batch) {
    ask(stranger, 2, static_cast<std::uint32_t>(2 * batch - 1));
    stranger.say(encode_frame(EndOfBatch{batch}));
  }
  std::uint64_t acknowledged = 0;
  std::uint32_t answered = 0;
  while (acknowledged < kBatches || answered < 2 * kBatches) {
    const Word word = hear_word(stranger);
    if (const auto* ack = std::get_if<Acknowledgement>(&word)) {
      ASSERT_GT(ack->sequence, acknowledged);
      acknowledged = ack->sequence;
    } else if (const auto* data = std::get_if<ReadData>(&word)) {
      ASSERT_EQ(data->number, ++answered);
      ASSERT_TRUE(
          equal(stranger.hear(kPageBytes), receiver_->buffer().page(answered % kPageCount)));
    } else {
      FAIL() << "neither";
    }
  }
  EXPECT_EQ(acknowledged, kBatches);
}

BATON_ON_TCP(TcpReadsTest, transport::TcpOptions());

// ---- pieces ----------------------------------------------------------------------------------

/// So that one answer has many pieces, and the kernel takes few of them at a time.
transport::TcpOptions small_pieces() {
  transport::TcpOptions options;
  options.slice_bytes = 4096;
  options.socket_buffer_bytes = 16U << 10U;
  return options;
}

class TcpReadPiecesTest : public TcpReadsTest {};

TEST_P(TcpReadPiecesTest, ARightThatEndsInTheMiddleOfAnAnswerEndsTheAnswer) {
  RawStream stranger = proven_stranger(peer_);
  on_loop([&] {
    receiver_->grants().on_piece(
        [this, before = receiver_->grants().pieces()](std::uint64_t pieces) {
          if (pieces == before + 5) {  // The whole, and four pieces.
            receiver_->grants().withdraw(1, 1);
          }
        });
  });
  ask(stranger, 1);
  const auto heard = stranger.hear_to_the_end();
  expect_gone(peer_, StatusCode::kPermissionDenied);
  EXPECT_EQ(stats().rejected_reads, 1U);
  EXPECT_LE(heard.size(), sizeof(WordBytes) + 4 * 4096);
  on_loop([&] { receiver_->grants().on_piece(nullptr); });
  expect_honest_writer_goes_on();
}

TEST_P(TcpReadPiecesTest, AStalledAnswerGoesNoFurtherWhenItsRightHasEnded) {
  RawStream stranger = proven_stranger(peer_);
  ask(stranger, kMaxReads);  // 4 MiB
  expect_honest_writer_goes_on();
  on_loop([&] {
    for (std::uint32_t page = 0; page < kPageCount; ++page) {
      receiver_->grants().withdraw(page, 1);
    }
  });
  const auto heard = stranger.hear_to_the_end();
  EXPECT_LT(heard.size(), kMaxReads * kPageBytes);
  expect_gone(peer_, StatusCode::kPermissionDenied);
  EXPECT_EQ(stats().rejected_reads, 1U);
}

BATON_ON_TCP(TcpReadPiecesTest, small_pieces());

// ---- silence ---------------------------------------------------------------------------------

transport::TcpOptions impatient() {
  transport::TcpOptions options = small_pieces();
  options.heartbeat_interval = std::chrono::milliseconds(60);
  options.silence_limit = std::chrono::milliseconds(300);  // a test under load may pause for 100
  return options;
}

class TcpReadSilenceTest : public TcpReadsTest {};

TEST_P(TcpReadSilenceTest, ASlowReaderThatBeatsStaysAndHeartbeatsAreNeverInsideAnAnswer) {
  RawStream stranger = proven_stranger(peer_);
  ask(stranger, kMaxReads);  // more than the kernel takes
  RawStream clock = proven_stranger(Epoch::random());
  for (int beat = 0; beat < 15; ++beat) {  // three times the limit
    EXPECT_EQ(clock.hear_message<WordBytes>(), encode_word(Heartbeat{}));
    clock.say(encode_frame(Heartbeat{}));
    stranger.say(encode_frame(Heartbeat{}));
  }
  for (std::uint32_t number = 1; number <= kMaxReads; ++number) {
    expect_answer(stranger, number);
    stranger.say(encode_frame(Heartbeat{}));
  }
  on_loop([&] { EXPECT_EQ(receiver_->writer_gone(peer_), 0); });
}

TEST_P(TcpReadSilenceTest, AReaderThatFallsSilentIsGone) {
  const RawStream stranger = [this] {
    RawStream made = proven_stranger(peer_);
    ask(made, kMaxReads);
    return made;
  }();
  expect_gone(peer_, StatusCode::kUnavailable);
  expect_honest_writer_goes_on();
}

BATON_ON_TCP(TcpReadSilenceTest, impatient());

}  // namespace
}  // namespace baton::conformance
