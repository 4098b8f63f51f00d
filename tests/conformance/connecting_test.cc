// Tickets: what lets a writer in, and what never does (P8). No attempt hangs (P5).
#include "tests/conformance/conformance_test.h"

namespace baton::conformance {
namespace {

class ConnectingTest : public ConformanceTest {
 protected:
  /// The refusal, after which the right ticket must still work.
  Status refused(Node& writer, Node& receiver, const std::string& ticket) {
    const ReceiptPtr receipt = writer.connect(receiver.id(), ticket);
    EXPECT_TRUE(await(receipt)) << "connect hangs";
    EXPECT_FALSE(receipt->status.ok());
    return receipt->status;
  }
};

TEST_P(ConnectingTest, TheObserverIsToldOnce) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  ASSERT_TRUE(run_until([&] { return receiver.connected(writer.id()) > 0; }));
  on_loop([&] {
    EXPECT_EQ(receiver.connected(writer.id()), 1);
    EXPECT_EQ(receiver.writer_gone(writer.id()), 0);
  });
}

TEST_P(ConnectingTest, OffersAreServable) {
  Node& receiver = add_node();
  Node& writer = add_node();
  on_loop([&] {
    EXPECT_TRUE(receiver.transport().can_serve(writer.transport().offer()));
    EXPECT_EQ(receiver.transport().name(), GetParam().name);
  });
}

TEST_P(ConnectingTest, NonsenseOffersDoNoHarm) {
  Node& receiver = add_node();
  on_loop([&] {
    for (std::size_t size : {1U, 16U, 100U, 5000U}) {
      std::string offer(size, '\0');
      fill(std::as_writable_bytes(std::span(offer)), size);
      EXPECT_FALSE(receiver.transport().can_serve(offer));
    }
  });
}

TEST_P(ConnectingTest, NonsenseTicketsAreRefused) {
  Node& receiver = add_node();
  Node& writer = add_node();
  const auto ticket = receiver.expect(writer.id());
  ASSERT_TRUE(ticket.ok());
  EXPECT_EQ(refused(writer, receiver, "").code(), StatusCode::kDataLoss);
  for (std::size_t size : {1U, 7U, 48U, 300U, 70'000U}) {
    std::string garbage(size, '\0');
    fill(std::as_writable_bytes(std::span(garbage)), size);
    EXPECT_EQ(refused(writer, receiver, garbage).code(), StatusCode::kDataLoss);
  }
  EXPECT_EQ(refused(writer, receiver, *ticket + "x").code(), StatusCode::kDataLoss);
  connect(writer, receiver);
}

TEST_P(ConnectingTest, TruncatedTicketsAreRefused) {
  Node& receiver = add_node();
  Node& writer = add_node();
  const auto ticket = receiver.expect(writer.id());
  ASSERT_TRUE(ticket.ok());
  for (std::size_t size = 0; size < ticket->size(); ++size) {
    EXPECT_FALSE(refused(writer, receiver, ticket->substr(0, size)).ok());
  }
  connect(writer, receiver);
}

TEST_P(ConnectingTest, AFlippedBitIsRefused) {
  Node& receiver = add_node();
  Node& writer = add_node();
  const auto ticket = receiver.expect(writer.id());
  ASSERT_TRUE(ticket.ok());
  // The last byte belongs to the secret or to the address on every transport.
  std::string wrong = *ticket;
  wrong.back() = static_cast<char>(wrong.back() ^ 1);
  EXPECT_FALSE(refused(writer, receiver, wrong).ok());
  connect(writer, receiver);
}

TEST_P(ConnectingTest, AnotherWritersTicketIsRefused) {
  Node& receiver = add_node();
  Node& writer = add_node();
  Node& thief = add_node();
  const auto ticket = receiver.expect(writer.id());
  ASSERT_TRUE(ticket.ok());
  EXPECT_EQ(refused(thief, receiver, *ticket).code(), StatusCode::kPermissionDenied);
  connect(writer, receiver);
  on_loop([&] { EXPECT_EQ(receiver.connected(thief.id()), 0); });
}

TEST_P(ConnectingTest, AnotherReceiversTicketIsRefused) {
  Node& receiver = add_node();
  Node& other = add_node();
  Node& writer = add_node();
  const auto ticket = other.expect(writer.id());
  ASSERT_TRUE(ticket.ok());
  EXPECT_EQ(refused(writer, receiver, *ticket).code(), StatusCode::kPermissionDenied);
  connect(writer, other);
}

TEST_P(ConnectingTest, ASecondExpectReplacesTheTicket) {
  Node& receiver = add_node();
  Node& writer = add_node();
  const auto first = receiver.expect(writer.id());
  const auto second = receiver.expect(writer.id());
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(*first, *second);
  EXPECT_EQ(refused(writer, receiver, *first).code(), StatusCode::kPermissionDenied);
  const ReceiptPtr receipt = writer.connect(receiver.id(), *second);
  ASSERT_TRUE(await(receipt));
  EXPECT_TRUE(receipt->status.ok()) << receipt->status;
}

TEST_P(ConnectingTest, ExpectingAConnectedPeerLeavesItsConnection) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  ASSERT_TRUE(receiver.expect(writer.id()).ok());
  const ReceiptPtr receipt = writer.write(receiver.id(), {writer.op(0, 1, 0, kPageBytes)});
  ASSERT_TRUE(await(receipt));
  EXPECT_TRUE(receipt->status.ok()) << receipt->status;
}

TEST_P(ConnectingTest, ADeadAddressIsUnavailable) {
  Node& writer = add_node();
  const transport::PeerId nobody = Epoch::random();
  const ReceiptPtr receipt = writer.connect(nobody, world().dead_ticket(nobody, writer.id()));
  ASSERT_TRUE(await(receipt));
  EXPECT_EQ(receipt->status.code(), StatusCode::kUnavailable) << receipt->status;
}

TEST_P(ConnectingTest, APassedDeadlineEndsTheAttempt) {
  Node& receiver = add_node();
  Node& writer = add_node();
  const auto ticket = receiver.expect(writer.id());
  ASSERT_TRUE(ticket.ok());
  bool fired = false;
  Status status;
  on_loop([&] {
    writer.transport().connect(receiver.id(), *ticket, world().driver().scheduler().now(),
                               [&](const Status& result) {
                                 status = result;
                                 fired = true;
                                 world().driver().changed();
                               });
    EXPECT_FALSE(fired);
  });
  ASSERT_TRUE(run_until([&] { return fired; }));
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
}

TEST_P(ConnectingTest, AFreshTicketReconnectsAfterADisconnect) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  writer.disconnect(receiver.id());
  ASSERT_TRUE(run_until([&] { return receiver.writer_gone(writer.id()) == 1; }));
  connect(writer, receiver);
  fill(writer.buffer().page(0), 5);
  const ReceiptPtr receipt = writer.write(receiver.id(), {writer.op(0, 1, 0, kPageBytes)});
  ASSERT_TRUE(await(receipt));
  EXPECT_TRUE(receipt->status.ok()) << receipt->status;
  EXPECT_TRUE(equal(receiver.buffer().page(0), writer.buffer().page(0)));
}

BATON_ON_EVERY_TRANSPORT(ConnectingTest);

}  // namespace
}  // namespace baton::conformance
