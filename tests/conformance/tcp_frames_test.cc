// What a peer with a right proof may still not do (P3, P8).
#include "tests/conformance/tcp_strangers_test.h"

namespace baton::conformance {
namespace {

using namespace transport::tcp;  // NOLINT(google-build-using-namespace)

class TcpFramesTest : public TcpStrangersTest {};

TEST_P(TcpFramesTest, FramesThatMakeNoSense) {
  FrameBytes noise;
  fill(noise, 5);
  FrameBytes not_zero = encode_frame(Heartbeat{});
  not_zero.back() = std::byte{1};
  const std::vector<FrameBytes> frames{
      noise,
      FrameBytes{},
      not_zero,
      encode_frame(WriteHeader{.page = 1, .generation = 1, .length_bytes = 0}),
      encode_frame(EndOfBatch{0}),
      encode_frame(EndOfBatch{2})};
  for (const FrameBytes& frame : frames) {
    const transport::PeerId peer = Epoch::random();
    RawStream stranger = proven_stranger(peer);
    stranger.say(frame);
    expect_ended(stranger, peer, StatusCode::kDataLoss);
  }
  EXPECT_EQ(stats().broken_streams, frames.size());
}

TEST_P(TcpFramesTest, AWriteOfMoreThanThereIs) {
  RawStream stranger = proven_stranger(peer_);
  stranger.say(encode_frame(WriteHeader{
      .page = 1, .generation = 1, .offset_bytes = 0, .length_bytes = ~std::uint64_t{0}}));
  expect_ended(stranger, peer_, StatusCode::kPermissionDenied);
  EXPECT_EQ(stats().rejected_writes, 1U);
}

TEST_P(TcpFramesTest, TheBytesOfARefusedWriteAreNotPlaced) {
  RawStream stranger = proven_stranger(peer_);
  stranger.say(encode_frame(WriteHeader{.page = 1, .generation = 2, .length_bytes = kPageBytes}));
  stranger.say(std::vector<std::byte>(kPageBytes, std::byte{0x77}));
  expect_ended(stranger, peer_, StatusCode::kPermissionDenied);
}

TEST_P(TcpFramesTest, NothingOfALongWriteThatIsOneByteTooLongIsPlaced) {
  constexpr std::size_t kLargePage = 4U << 20U;  // several slices
  Node& receiver = add_node(kLargePage, 2);
  grant_all(receiver, 1);
  const auto ticket = parse_ticket(receiver.expect(peer_).value_or(""));
  ASSERT_TRUE(ticket.ok());
  RawStream stranger(ticket->address.port);
  const Hello hello{.sender = peer_, .receiver = receiver.id()};
  ASSERT_EQ(stranger.open(hello, ticket->secret), Verdict::kAccepted);
  stranger.say(encode_frame(WriteHeader{.generation = 1, .length_bytes = kLargePage + 1}));
  stranger.say(std::vector<std::byte>(kLargePage + 1, std::byte{0x77}));
  EXPECT_TRUE(stranger.hear_to_the_end().empty());
  const std::vector<std::byte> untouched(2 * kLargePage);
  on_loop([&] {
    EXPECT_TRUE(equal(untouched, {receiver.buffer().data(), receiver.buffer().size_bytes()}));
  });
}

// ---- streams -------------------------------------------------------------------------------

TEST_P(TcpFramesTest, StreamsJoinTheirConnectionAndEndWithIt) {
  const Ticket ticket = ticket_for(peer_);
  Hello hello = hello_of(peer_);
  hello.streams = ticket.streams;
  ASSERT_EQ(ticket.streams, 2);
  RawStream first(port());
  EXPECT_EQ(first.open(hello, ticket.secret), Verdict::kAccepted);
  EXPECT_EQ(RawStream(port()).open(hello, ticket.secret), Verdict::kRefused) << "stream 0 again";
  hello.stream = 1;
  RawStream second(port());
  EXPECT_EQ(second.open(hello, ticket.secret), Verdict::kAccepted);
  on_loop([&] { EXPECT_EQ(receiver_->connected(peer_), 1); });
  second.close();
  EXPECT_TRUE(first.hear_to_the_end().empty()) << "one stream's loss is the connection's";
  ASSERT_TRUE(run_until([&] { return receiver_->writer_gone(peer_) == 1; }));
  EXPECT_EQ(RawStream(port()).open(hello, ticket.secret), Verdict::kRefused) << "it has ended";
  ++hello.connection;
  RawStream successor(port());
  EXPECT_EQ(successor.open(hello, ticket.secret), Verdict::kAccepted) << "the ticket has not";
}

TEST_P(TcpFramesTest, ANewerConnectionReplacesAnOlderOneAndNeverTheOtherWayRound) {
  const Ticket ticket = ticket_for(peer_);
  Hello older = hello_of(peer_);
  older.connection = 7;
  RawStream first(port());
  EXPECT_EQ(first.open(older, ticket.secret), Verdict::kAccepted);
  Hello newer = hello_of(peer_);
  newer.connection = 8;
  RawStream second(port());
  EXPECT_EQ(second.open(newer, ticket.secret), Verdict::kAccepted);
  EXPECT_TRUE(first.hear_to_the_end().empty());
  EXPECT_EQ(RawStream(port()).open(older, ticket.secret), Verdict::kRefused);
  second.say(encode_frame(EndOfBatch{1}));
  EXPECT_EQ(second.hear_message<WordBytes>(), encode_word(Acknowledgement{1}));
  on_loop([&] {
    EXPECT_EQ(receiver_->connected(peer_), 1);
    EXPECT_EQ(receiver_->writer_gone(peer_), 0);
  });
}

BATON_ON_TCP(TcpFramesTest, transport::TcpOptions());

}  // namespace
}  // namespace baton::conformance
