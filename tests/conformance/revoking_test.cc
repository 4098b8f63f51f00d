// The fence: after `fenced`, no byte of that writer reaches a page (P3).
#include "tests/conformance/conformance_test.h"

namespace baton::conformance {
namespace {

class RevokingTest : public ConformanceTest {
 protected:
  std::vector<std::byte> pages_of(Node& node) {
    std::vector<std::byte> copy;
    on_loop([&] { copy = copy_of({node.buffer().data(), node.buffer().size_bytes()}); });
    return copy;
  }
};

TEST_P(RevokingTest, NothingLandsAfterTheFence) {
  if (would_harm_the_other_side()) {
    GTEST_SKIP() << "UCX's TCP: see docs/rdma.md";
  }
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  std::vector<std::byte> at_fence;
  const auto batches = in_the_middle_of_writing(writer, receiver, [&] {
    receiver.transport().revoke(writer.id(), [&] {
      // Every batch writes the same bytes: other ones make a late write visible.
      fill({receiver.buffer().data(), receiver.buffer().size_bytes()}, 99);
      at_fence = copy_of({receiver.buffer().data(), receiver.buffer().size_bytes()});
      world().driver().changed();
    });
  });
  ASSERT_TRUE(run_until([&] { return writer.all_fired() && !at_fence.empty(); }));
  EXPECT_TRUE(run_until([&] { return writer.receiver_gone(receiver.id()) == 1; }));
  EXPECT_EQ(batches.back()->status.code(), StatusCode::kUnavailable) << batches.back()->status;
  const ReceiptPtr later = writer.write(receiver.id(), {writer.op(0, 1, 0, kPageBytes)});
  ASSERT_TRUE(await(later));
  EXPECT_FALSE(later->status.ok());
  EXPECT_TRUE(equal(pages_of(receiver), at_fence));
  on_loop([&] { EXPECT_EQ(receiver.writer_gone(writer.id()), 0) << "revoke() ended it"; });
}

TEST_P(RevokingTest, AnUnknownPeerIsFencedAtOnce) {
  Node& receiver = add_node();
  const ReceiptPtr fenced = receiver.revoke(Epoch::random());
  EXPECT_TRUE(await(fenced));
}

TEST_P(RevokingTest, AnAwaitedPeerIsFencedAndItsTicketWorthless) {
  Node& receiver = add_node();
  Node& writer = add_node();
  const auto ticket = receiver.expect(writer.id());
  ASSERT_TRUE(ticket.ok());
  ASSERT_TRUE(await(receiver.revoke(writer.id())));
  const ReceiptPtr receipt = writer.connect(receiver.id(), *ticket);
  ASSERT_TRUE(await(receipt));
  EXPECT_FALSE(receipt->status.ok());
  on_loop([&] { EXPECT_EQ(receiver.connected(writer.id()), 0); });
}

TEST_P(RevokingTest, TheOldTicketIsWorthless) {
  Node& receiver = add_node();
  Node& writer = add_node();
  const auto ticket = receiver.expect(writer.id());
  ASSERT_TRUE(ticket.ok());
  const ReceiptPtr connected = writer.connect(receiver.id(), *ticket);
  ASSERT_TRUE(await(connected));
  ASSERT_TRUE(connected->status.ok()) << connected->status;
  ASSERT_TRUE(await(receiver.revoke(writer.id())));
  ASSERT_TRUE(run_until([&] { return writer.receiver_gone(receiver.id()) == 1; }));
  const ReceiptPtr again = writer.connect(receiver.id(), *ticket);
  ASSERT_TRUE(await(again));
  EXPECT_EQ(again->status.code(), StatusCode::kPermissionDenied) << again->status;
}

TEST_P(RevokingTest, ExpectingFailsUntilTheFenceIsProven) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  ReceiptPtr fenced = std::make_shared<Receipt>();
  on_loop([&] {
    receiver.transport().revoke(writer.id(), [&, fenced] {
      ++fenced->fired;
      world().driver().changed();
    });
    const auto ticket = receiver.transport().expect_peer(writer.id());
    EXPECT_EQ(ticket.status().code(), StatusCode::kFailedPrecondition) << ticket.status();
  });
  ASSERT_TRUE(await(fenced));
  ASSERT_TRUE(run_until([&] { return writer.receiver_gone(receiver.id()) == 1; }));
  connect(writer, receiver);
  fill(writer.buffer().page(0), 5);
  const ReceiptPtr receipt = writer.write(receiver.id(), {writer.op(0, 1, 0, kPageBytes)});
  ASSERT_TRUE(await(receipt));
  EXPECT_TRUE(receipt->status.ok()) << receipt->status;
  EXPECT_TRUE(equal(receiver.buffer().page(0), writer.buffer().page(0)));
}

TEST_P(RevokingTest, EveryRevokeIsAnswered) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  const ReceiptPtr first = receiver.revoke(writer.id());
  const ReceiptPtr second = receiver.revoke(writer.id());
  EXPECT_TRUE(await(first));
  EXPECT_TRUE(await(second));
}

TEST_P(RevokingTest, OtherWritersGoOn) {
  if (would_harm_the_other_side()) {
    GTEST_SKIP() << "UCX's TCP: see docs/rdma.md";
  }
  Node& receiver = add_node();
  Node& revoked = add_node();
  Node& other = add_node();
  connect(revoked, receiver);
  connect(other, receiver);
  fill(other.buffer().page(3), 33);
  in_the_middle_of_writing(revoked, receiver,
                           [&] { receiver.transport().revoke(revoked.id(), [] {}); });
  const ReceiptPtr receipt = other.write(receiver.id(), {other.op(3, 1, 0, kPageBytes)});
  ASSERT_TRUE(await(receipt));
  EXPECT_TRUE(receipt->status.ok()) << receipt->status;
}

BATON_ON_EVERY_TRANSPORT(RevokingTest);

}  // namespace
}  // namespace baton::conformance
