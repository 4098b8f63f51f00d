// The fixture for what strangers do to a tcp receiver, with an honest writer beside them.
#pragma once

#include <functional>

#include "src/transport/tcp/tcp_transport.h"
#include "tests/conformance/conformance_test.h"
#include "tests/conformance/tcp_stranger.h"
#include "tests/conformance/under_test/tcp.h"

namespace baton::conformance {

class TcpStrangersTest : public ConformanceTest {
 protected:
  static constexpr std::uint64_t kUntouched = 2;

  void SetUp() override {
    ConformanceTest::SetUp();
    receiver_ = &add_node();
    writer_ = &add_node();
    connect(*writer_, *receiver_);
    fill({receiver_->buffer().data(), receiver_->buffer().size_bytes()}, kUntouched);
  }

  transport::TcpTransport& tcp() {
    return dynamic_cast<transport::TcpTransport&>(receiver_->transport());
  }
  std::uint16_t port() { return tcp().address().port; }
  transport::TcpStats stats() {
    transport::TcpStats stats;
    on_loop([&] { stats = tcp().stats(); });
    return stats;
  }

  transport::tcp::Ticket ticket_for(const transport::PeerId& peer) {
    const auto ticket = transport::tcp::parse_ticket(receiver_->expect(peer).value_or(""));
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    return *ticket;
  }
  /// Of a connection with one stream.
  transport::tcp::Hello hello_of(const transport::PeerId& peer) {
    return {.sender = peer, .receiver = receiver_->id(), .nonce = transport::random_nonce()};
  }
  RawStream proven_stranger(const transport::PeerId& peer) {
    RawStream stranger(port());
    EXPECT_EQ(stranger.open(hello_of(peer), ticket_for(peer).secret),
              transport::tcp::Verdict::kAccepted);
    return stranger;
  }

  /// The stranger's connection ends, its page is as it was, and the honest writer goes on.
  void expect_ended(RawStream& stranger, const transport::PeerId& peer, StatusCode code) {
    EXPECT_TRUE(stranger.hear_to_the_end().empty());
    EXPECT_TRUE(run_until([&] { return receiver_->writer_gone(peer) == 1; }));
    on_loop([&] { EXPECT_EQ(receiver_->last_reason().code(), code); });
    expect_all_well();
  }

  void expect_all_well() {
    std::vector<std::byte> untouched(receiver_->buffer().size_bytes());
    fill(untouched, kUntouched);
    on_loop([&] {
      EXPECT_TRUE(equal(untouched, {receiver_->buffer().data(), receiver_->buffer().size_bytes()}));
    });
    expect_honest_writer_goes_on();
    fill({receiver_->buffer().data(), receiver_->buffer().size_bytes()}, kUntouched);
  }

  void expect_honest_writer_goes_on() {
    const ReceiptPtr receipt = writer_->write(receiver_->id(), {writer_->op(0, 1, 0, kPageBytes)});
    ASSERT_TRUE(await(receipt));
    EXPECT_TRUE(receipt->status.ok()) << receipt->status;
  }

  /// Memory says nothing when it changes: the loop is kept going until it has.
  void expect_at_last(const std::function<bool()>& condition) {
    bool holds = false;
    for (int i = 0; i < 10'000 && !holds; ++i) {
      expect_honest_writer_goes_on();
      on_loop([&] { holds = condition(); });
    }
    EXPECT_TRUE(holds);
  }

  Node* receiver_ = nullptr;
  Node* writer_ = nullptr;
  const transport::PeerId peer_ = Epoch::random();
};

}  // namespace baton::conformance

/// Runs a fixture's tests on tcp with these options.
#define BATON_ON_TCP(fixture, options)                                                    \
  INSTANTIATE_TEST_SUITE_P(                                                               \
      Conformance, fixture,                                                               \
      ::testing::Values(                                                                  \
          Maker{"tcp", [] { return baton::conformance::make_tcp_under_test(options); }}), \
      [](const auto& instance) { return instance.param.name; })
