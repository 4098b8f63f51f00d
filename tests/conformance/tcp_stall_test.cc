// Peers that are slow, stalled or silent (P5): they hold up nobody else, and are found.
#include <algorithm>
#include <chrono>
#include <functional>
#include <string>

#include "tests/conformance/tcp_strangers_test.h"

namespace baton::conformance {
namespace {

using namespace transport::tcp;  // NOLINT(google-build-using-namespace)

class TcpStallTest : public TcpStrangersTest {
 protected:
  /// The writer is connected to `raw`, whose other end is returned.
  RawStream connect_to(RawReceiver& raw) {
    const ReceiptPtr receipt = writer_->connect(raw.ticket().receiver, encode(raw.ticket()));
    RawStream stream = raw.accept_properly();
    EXPECT_TRUE(await(receipt));
    EXPECT_TRUE(receipt->status.ok()) << receipt->status;
    return stream;
  }
};

TEST_P(TcpStallTest, AWriterThatStopsInTheMiddleOfAFrame) {
  RawStream stranger = proven_stranger(peer_);
  stranger.say(encode_frame(WriteHeader{.page = 9, .generation = 1, .length_bytes = kPageBytes}));
  expect_all_well();
  ASSERT_TRUE(await(receiver_->revoke(peer_)));
  EXPECT_TRUE(stranger.hear_to_the_end().empty()) << "revoke closes it";
}

TEST_P(TcpStallTest, AWriterThatReadsNoAcknowledgements) {
  RawStream stranger = proven_stranger(peer_);
  std::vector<std::byte> ends;
  for (std::uint64_t sequence = 1; sequence <= 50'000; ++sequence) {
    const FrameBytes end = encode_frame(EndOfBatch{sequence});
    ends.insert(ends.end(), end.begin(), end.end());
  }
  stranger.say(ends);
  expect_all_well();
  // Cumulative: far fewer than batches, the last of them for all.
  std::uint64_t acknowledged = 0;
  while (acknowledged < 50'000) {
    const auto word = parse_word(stranger.hear_message<WordBytes>());
    ASSERT_TRUE(word.ok() && std::holds_alternative<Acknowledgement>(*word));
    const std::uint64_t sequence = std::get<Acknowledgement>(*word).sequence;
    ASSERT_GT(sequence, acknowledged);
    acknowledged = sequence;
  }
  EXPECT_EQ(acknowledged, 50'000U);
}

TEST_P(TcpStallTest, AReceiverThatReadsNothing) {
  RawReceiver stalled;
  const RawStream stream = connect_to(stalled);
  on_loop([&] { writer_->write_on_loop(stalled.ticket().receiver, 64); });  // 64 MiB
  expect_honest_writer_goes_on();
  writer_->disconnect(stalled.ticket().receiver);
  EXPECT_TRUE(run_until([&] { return writer_->all_fired(); }));
}

TEST_P(TcpStallTest, AnImpostorInTheReceiversPlaceLearnsNothingAndGetsNoBytes) {
  RawReceiver impostor;
  Ticket ticket = impostor.ticket();
  ticket.secret = transport::Secret::random();  // What the impostor has is another.
  const ReceiptPtr receipt = writer_->connect(ticket.receiver, encode(ticket));
  RawStream stream = impostor.accept();
  const HelloBytes hello = stream.hear_message<HelloBytes>();
  EXPECT_EQ(std::search(hello.begin(), hello.end(), ticket.secret.bytes().begin(),
                        ticket.secret.bytes().end()),
            hello.end());
  const auto context =
      proof_context(parse_hello(hello).value_or(Hello{}), transport::random_nonce());
  stream.say(encode(Challenge{
      .nonce = context.receiver_nonce,
      .proof = make_proof(impostor.ticket().secret, transport::ProofRole::kReceiver, context)}));
  EXPECT_TRUE(stream.hear_to_the_end().empty());
  ASSERT_TRUE(await(receipt));
  EXPECT_EQ(receipt->status.code(), StatusCode::kPermissionDenied) << receipt->status;
}

TEST_P(TcpStallTest, AChallengeThatMakesNoSenseIsDataLoss) {
  RawReceiver impostor;
  const ReceiptPtr receipt =
      writer_->connect(impostor.ticket().receiver, encode(impostor.ticket()));
  RawStream stream = impostor.accept();
  stream.say(std::vector<std::byte>(sizeof(ChallengeBytes), std::byte{'x'}));
  ASSERT_TRUE(await(receipt));
  EXPECT_EQ(receipt->status.code(), StatusCode::kDataLoss) << receipt->status;
}

BATON_ON_TCP(TcpStallTest, transport::TcpOptions());

// ---- silence -------------------------------------------------------------------------------

/// Heartbeats so quick that a test can wait for many.
transport::TcpOptions impatient() {
  transport::TcpOptions options;
  options.heartbeat_interval = std::chrono::milliseconds(60);
  options.silence_limit = std::chrono::milliseconds(300);  // a test under load may pause for 100
  return options;
}

class TcpSilenceTest : public TcpStallTest {
 protected:
  static constexpr int kBatches = 32;  // 1 MiB each

  /// Another stream's heartbeats are the clock.
  void let_intervals_pass(int count, const std::function<void()>& each) {
    RawStream clock = proven_stranger(Epoch::random());
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(clock.hear_message<WordBytes>(), encode_word(Heartbeat{}));
      clock.say(encode_frame(Heartbeat{}));
      each();
    }
  }
  /// Whole frames, the payload of each as in the writer's buffer; heartbeats only between them.
  void expect_nothing_but_batches(RawStream& stream) {
    for (std::uint64_t ended = 0; ended < std::uint64_t{kBatches};) {
      const auto frame = parse_frame(stream.hear_message<FrameBytes>());
      ASSERT_TRUE(frame.ok()) << frame.status();
      if (const auto* write = std::get_if<WriteHeader>(&*frame)) {
        ASSERT_LE(write->offset_bytes + write->length_bytes, kPageBytes);
        ASSERT_TRUE(equal(
            stream.hear(write->length_bytes),
            writer_->buffer().page(write->page).subspan(write->offset_bytes, write->length_bytes)));
      } else if (const auto* end = std::get_if<EndOfBatch>(&*frame)) {
        ASSERT_EQ(end->sequence, ++ended);
        stream.say(encode_word(Acknowledgement{ended}));
      }
    }
  }
  void expect_reason(Node& node, std::string_view words) {
    on_loop([&] {
      EXPECT_EQ(node.last_reason().code(), StatusCode::kUnavailable);
      EXPECT_NE(std::string(node.last_reason().message()).find(words), std::string::npos)
          << node.last_reason();
    });
  }
};

TEST_P(TcpSilenceTest, AWriterThatFallsSilentIsGone) {
  RawStream stranger = proven_stranger(peer_);
  ASSERT_TRUE(run_until([&] { return receiver_->writer_gone(peer_) == 1; }));
  expect_reason(*receiver_, "silent for 300 ms");
  while (!stranger.hear_to_the_end().empty()) {
  }
  expect_honest_writer_goes_on();
}

TEST_P(TcpSilenceTest, AWriterThatFallsSilentInTheMiddleOfAFrameIsGone) {
  RawStream stranger = proven_stranger(peer_);
  stranger.say(encode_frame(WriteHeader{.page = 9, .generation = 1, .length_bytes = kPageBytes}));
  ASSERT_TRUE(run_until([&] { return receiver_->writer_gone(peer_) == 1; }));
  expect_reason(*receiver_, "silent");
}

TEST_P(TcpSilenceTest, AReceiverThatFallsSilentIsGoneAndItsBatchesFail) {
  RawReceiver raw;
  const RawStream stream = connect_to(raw);
  const transport::PeerId id = raw.ticket().receiver;
  const ReceiptPtr receipt = writer_->write(id, {writer_->op(0, 1, 0, kPageBytes)});
  ASSERT_TRUE(await(receipt));
  EXPECT_EQ(receipt->status.code(), StatusCode::kUnavailable) << receipt->status;
  ASSERT_TRUE(run_until([&] { return writer_->receiver_gone(id) == 1; }));
  expect_reason(*writer_, "silent for 300 ms");
}

TEST_P(TcpSilenceTest, AnIdleWriterThatBeatsStays) {
  RawStream stranger = proven_stranger(peer_);
  for (int beat = 0; beat < 20; ++beat) {  // four times the limit
    EXPECT_EQ(stranger.hear_message<WordBytes>(), encode_word(Heartbeat{}));
    stranger.say(encode_frame(Heartbeat{}));
  }
  stranger.say(encode_frame(EndOfBatch{1}));
  EXPECT_EQ(stranger.hear_message<WordBytes>(), encode_word(Acknowledgement{1}));
  EXPECT_GE(stats().heartbeats, 20U);
}

TEST_P(TcpSilenceTest, AnyByteOfALongWriteIsASignOfLife) {
  RawStream stranger = proven_stranger(peer_);
  constexpr std::size_t kBytes = 20;
  stranger.say(encode_frame(WriteHeader{.page = 9, .generation = 1, .length_bytes = kBytes}));
  for (std::size_t byte = 0; byte < kBytes; ++byte) {
    EXPECT_EQ(stranger.hear_message<WordBytes>(), encode_word(Heartbeat{}));
    stranger.say(std::array{std::byte{0x77}});
  }
  stranger.say(encode_frame(EndOfBatch{1}));
  EXPECT_EQ(stranger.hear_message<WordBytes>(), encode_word(Acknowledgement{1}));
}

TEST_P(TcpSilenceTest, AWriterBeatsWhenIdleAndNeverInsideAFrame) {
  RawReceiver raw;
  RawStream stream = connect_to(raw);
  const transport::PeerId id = raw.ticket().receiver;
  for (int beat = 0; beat < 10; ++beat) {
    EXPECT_EQ(stream.hear_message<FrameBytes>(), encode_frame(Heartbeat{}));
    stream.say(encode_word(Heartbeat{}));
  }
  // More than the kernel takes, so that the writer is stuck inside a frame for many intervals.
  fill({writer_->buffer().data(), writer_->buffer().size_bytes()}, 8);
  std::vector<ReceiptPtr> batches;
  on_loop([&] { batches = writer_->write_on_loop(id, kBatches); });
  let_intervals_pass(10, [&] { stream.say(encode_word(Heartbeat{})); });
  expect_nothing_but_batches(stream);
  ASSERT_TRUE(await(batches.back()));
  EXPECT_TRUE(batches.back()->status.ok()) << batches.back()->status;
}

BATON_ON_TCP(TcpSilenceTest, impatient());

}  // namespace
}  // namespace baton::conformance
