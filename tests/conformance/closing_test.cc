// Every end answers what was pending, exactly once (P5), and the other side learns of it.
#include "tests/conformance/conformance_test.h"

namespace baton::conformance {
namespace {

class ClosingTest : public ConformanceTest {};

TEST_P(ClosingTest, TheWriterClosesInTheMiddle) {
  if (would_harm_the_other_side()) {
    GTEST_SKIP() << "UCX's TCP: see docs/rdma.md";
  }
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  const auto batches =
      in_the_middle_of_writing(writer, receiver, [&] { writer.transport().close(); });
  ASSERT_TRUE(run_until([&] { return writer.all_fired(); }));
  EXPECT_EQ(batches.back()->status.code(), StatusCode::kCancelled) << batches.back()->status;
  EXPECT_TRUE(run_until([&] { return receiver.writer_gone(writer.id()) == 1; }));
  on_loop([&] { EXPECT_EQ(writer.receiver_gone(receiver.id()), 0); });
}

TEST_P(ClosingTest, TheReceiverClosesInTheMiddle) {
  if (would_harm_the_other_side()) {
    GTEST_SKIP() << "UCX's TCP: see docs/rdma.md";
  }
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  const auto batches =
      in_the_middle_of_writing(writer, receiver, [&] { receiver.transport().close(); });
  ASSERT_TRUE(run_until([&] { return writer.all_fired(); }));
  EXPECT_EQ(batches.back()->status.code(), StatusCode::kUnavailable) << batches.back()->status;
  EXPECT_TRUE(run_until([&] { return writer.receiver_gone(receiver.id()) == 1; }));
  on_loop([&] { EXPECT_EQ(receiver.writer_gone(writer.id()), 0); });
}

TEST_P(ClosingTest, TheWriterDisconnectsInTheMiddle) {
  if (would_harm_the_other_side()) {
    GTEST_SKIP() << "UCX's TCP: see docs/rdma.md";
  }
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  const auto batches = in_the_middle_of_writing(
      writer, receiver, [&] { writer.transport().disconnect(receiver.id()); });
  ASSERT_TRUE(run_until([&] { return writer.all_fired(); }));
  EXPECT_EQ(batches.back()->status.code(), StatusCode::kCancelled) << batches.back()->status;
  EXPECT_TRUE(run_until([&] { return receiver.writer_gone(writer.id()) == 1; }));
  const ReceiptPtr later = writer.write(receiver.id(), {writer.op(0, 1, 0, 1)});
  ASSERT_TRUE(await(later));
  EXPECT_EQ(later->status.code(), StatusCode::kUnavailable) << later->status;
  on_loop([&] { EXPECT_EQ(writer.receiver_gone(receiver.id()), 0); });
}

TEST_P(ClosingTest, ADisconnectCancelsTheAttempt) {
  Node& receiver = add_node();
  Node& writer = add_node();
  const auto ticket = receiver.expect(writer.id());
  ASSERT_TRUE(ticket.ok());
  ReceiptPtr receipt = std::make_shared<Receipt>();
  on_loop([&] {
    writer.transport().connect(receiver.id(), *ticket,
                               world().driver().scheduler().now() + std::chrono::seconds(30),
                               [&, receipt](const Status& status) {
                                 ++receipt->fired;
                                 receipt->status = status;
                                 world().driver().changed();
                               });
    writer.transport().disconnect(receiver.id());
  });
  ASSERT_TRUE(await(receipt));
  EXPECT_EQ(receipt->status.code(), StatusCode::kCancelled) << receipt->status;
}

TEST_P(ClosingTest, NobodyToDisconnectFrom) {
  Node& writer = add_node();
  writer.disconnect(Epoch::random());
}

TEST_P(ClosingTest, ClosingAnswersEverythingThatIsPending) {
  if (would_harm_the_other_side()) {
    GTEST_SKIP() << "UCX's TCP: see docs/rdma.md";
  }
  Node& receiver = add_node();
  Node& node = add_node();
  Node& writer = add_node();
  connect(node, receiver);
  connect(writer, node);
  const auto ticket = receiver.expect(node.id());
  ASSERT_TRUE(ticket.ok());
  Node& other = add_node();
  const auto to_other = other.expect(node.id());
  ASSERT_TRUE(to_other.ok());
  const std::size_t before = node.receipts().size();
  on_loop([&] {
    node.write_on_loop(receiver.id(), 64);
    node.connect_on_loop(other.id(), *to_other);
    node.revoke_on_loop(writer.id());
    node.transport().close();
  });
  ASSERT_TRUE(run_until([&] { return node.all_fired(); }));
  for (std::size_t i = before; i + 1 < node.receipts().size(); ++i) {
    EXPECT_EQ(node.receipts()[i]->status.code(), StatusCode::kCancelled)
        << node.receipts()[i]->status;
  }
}

TEST_P(ClosingTest, AClosedTransportRefusesWhatIsNew) {
  Node& receiver = add_node();
  Node& writer = add_node();
  const auto ticket = receiver.expect(writer.id());
  ASSERT_TRUE(ticket.ok());
  writer.close();
  writer.close();
  const ReceiptPtr connected = writer.connect(receiver.id(), *ticket);
  const ReceiptPtr written = writer.write(receiver.id(), {writer.op(0, 1, 0, 1)});
  const ReceiptPtr fenced = writer.revoke(receiver.id());
  EXPECT_FALSE(writer.expect(receiver.id()).ok());
  EXPECT_TRUE(await(fenced));
  for (const ReceiptPtr& receipt : {connected, written}) {
    ASSERT_TRUE(await(receipt));
    EXPECT_EQ(receipt->status.code(), StatusCode::kFailedPrecondition) << receipt->status;
  }
}

BATON_ON_EVERY_TRANSPORT(ClosingTest);

}  // namespace
}  // namespace baton::conformance
