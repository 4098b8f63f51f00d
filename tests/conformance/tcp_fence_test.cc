// A fenced peer's bytes never reach a page, wherever they were at the fence (P3).
#include "tests/conformance/tcp_strangers_test.h"

namespace baton::conformance {
namespace {

using namespace transport::tcp;  // NOLINT(google-build-using-namespace)

class TcpFenceTest : public TcpStrangersTest {
 protected:
  static constexpr std::size_t kLargePage = 32U << 20U;  // more than the kernel buffers

  void SetUp() override {
    ConformanceTest::SetUp();
    receiver_ = &add_node(kLargePage, 2);
    writer_ = &add_node(kLargePage, 2);
    connect(*writer_, *receiver_);
  }
};

TEST_P(TcpFenceTest, AKernelFullOfAFencedPeersBytes) {
  RawStream stranger = proven_stranger(peer_);
  const std::vector<std::byte> payload(kLargePage, std::byte{0x77});
  auto fenced = std::make_shared<Receipt>();
  std::size_t buffered_bytes = 0;
  on_loop([&] {
    // On the loop: nobody reads while the kernel's buffers fill.
    stranger.say_what_fits(
        encode_frame(WriteHeader{.page = 0, .generation = 1, .length_bytes = kLargePage}));
    buffered_bytes = stranger.say_what_fits(payload);
    receiver_->transport().revoke(peer_, [&, fenced] {
      // Granted to somebody else: the guard would let the former writer pass, too.
      fill({receiver_->buffer().data(), receiver_->buffer().size_bytes()}, 99);
      ++fenced->fired;
      world().driver().changed();
    });
  });
  EXPECT_GT(buffered_bytes, std::size_t{64} << 10U);
  EXPECT_LT(buffered_bytes, kLargePage) << "the buffers were not full";
  ASSERT_TRUE(await(fenced));
  stranger.say(payload);  // It goes on, into a connection that is gone.
  // Only half of the page: the rest shows whatever else arrives.
  fill(writer_->buffer().page(0), 7);
  const ReceiptPtr receipt =
      writer_->write(receiver_->id(), {writer_->op(0, 1, 0, kLargePage / 2)});
  ASSERT_TRUE(await(receipt));
  ASSERT_TRUE(receipt->status.ok()) << receipt->status;
  std::vector<std::byte> expected(receiver_->buffer().size_bytes());
  fill(expected, 99);
  std::copy_n(writer_->buffer().page(0).begin(), kLargePage / 2, expected.begin());
  on_loop([&] {
    EXPECT_TRUE(equal(expected, {receiver_->buffer().data(), receiver_->buffer().size_bytes()}));
  });
}

TEST_P(TcpFenceTest, EveryStreamIsClosed) {
  const Ticket ticket = ticket_for(peer_);
  Hello hello = hello_of(peer_);
  hello.streams = 2;
  RawStream first(port());
  EXPECT_EQ(first.open(hello, ticket.secret), Verdict::kAccepted);
  hello.stream = 1;
  RawStream second(port());
  EXPECT_EQ(second.open(hello, ticket.secret), Verdict::kAccepted);
  ASSERT_TRUE(await(receiver_->revoke(peer_)));
  EXPECT_TRUE(first.hear_to_the_end().empty());
  EXPECT_TRUE(second.hear_to_the_end().empty());
  on_loop([&] { EXPECT_EQ(receiver_->writer_gone(peer_), 0) << "revoke() ended it"; });
}

BATON_ON_TCP(TcpFenceTest, transport::TcpOptions());

}  // namespace
}  // namespace baton::conformance
