// Every end of a connection answers the reads that were pending, and after that nothing arrives.
#include "tests/conformance/conformance_test.h"

namespace baton::conformance {
namespace {

class ReadingEndTest : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    if (would_harm_the_other_side()) {
      GTEST_SKIP() << "UCX's TCP: see docs/rdma.md";
    }
    holder_ = &add_node();
    reader_ = &add_node();
    connect(*reader_, *holder_);
    fill({holder_->buffer().data(), holder_->buffer().size_bytes()}, 1);
  }

  /// `action` in the middle of reading. In the turn in which the last of the batches says that it
  /// is over, the reader's memory gets other bytes.
  void end_by(Task action, StatusCode code) {
    auto over = std::make_shared<Status>();
    bool fired = false;
    const auto batches =
        in_the_middle_of_reading(*reader_, *holder_, [&, action = std::move(action)]() mutable {
          reader_->transport().read_batch(
              holder_->id(), {reader_->read_op(0, 1, 0, kPageBytes)}, [&, over](Status status) {
                *over = std::move(status);
                fill({reader_->buffer().data(), reader_->buffer().size_bytes()}, kAfterTheEnd);
                fired = true;
                world().driver().changed();
              });
          action();
        });
    ASSERT_TRUE(run_until([&] { return fired && reader_->all_fired(); }));
    EXPECT_EQ(batches.back()->status.code(), code) << batches.back()->status;
    EXPECT_EQ(over->code(), code) << *over;
  }

  void expect_nothing_arrived_since() {
    // What was on its way has had time: others have connected, and read whole buffers.
    Node& other = add_node();
    Node& other_holder = add_node();
    connect(other, other_holder);
    std::vector<ReceiptPtr> receipts;
    on_loop([&] { receipts = other.read_on_loop(other_holder.id(), 16); });
    ASSERT_TRUE(await(receipts.back()));
    EXPECT_TRUE(receipts.back()->status.ok()) << receipts.back()->status;
    std::vector<std::byte> expected(reader_->buffer().size_bytes());
    fill(expected, kAfterTheEnd);
    on_loop([&] {
      EXPECT_TRUE(equal(expected, {reader_->buffer().data(), reader_->buffer().size_bytes()}));
    });
  }

  static constexpr std::uint64_t kAfterTheEnd = 99;
  Node* holder_ = nullptr;
  Node* reader_ = nullptr;
};

TEST_P(ReadingEndTest, TheReaderDisconnectsInTheMiddle) {
  end_by([&] { reader_->transport().disconnect(holder_->id()); }, StatusCode::kCancelled);
  expect_nothing_arrived_since();
  EXPECT_TRUE(run_until([&] { return holder_->writer_gone(reader_->id()) == 1; }));
  on_loop([&] { EXPECT_EQ(reader_->receiver_gone(holder_->id()), 0); });
  const ReceiptPtr later = reader_->read(holder_->id(), {reader_->read_op(0, 1, 0, 1)});
  ASSERT_TRUE(await(later));
  EXPECT_EQ(later->status.code(), StatusCode::kUnavailable) << later->status;
}

TEST_P(ReadingEndTest, TheReaderClosesInTheMiddle) {
  end_by([&] { reader_->transport().close(); }, StatusCode::kCancelled);
  expect_nothing_arrived_since();
  EXPECT_TRUE(run_until([&] { return holder_->writer_gone(reader_->id()) == 1; }));
  const ReceiptPtr later = reader_->read(holder_->id(), {reader_->read_op(0, 1, 0, 1)});
  ASSERT_TRUE(await(later));
  EXPECT_EQ(later->status.code(), StatusCode::kFailedPrecondition) << later->status;
}

TEST_P(ReadingEndTest, TheReceiverRevokesInTheMiddle) {
  bool fenced = false;
  end_by(
      [&] {
        holder_->transport().revoke(reader_->id(), [&] {
          fenced = true;
          world().driver().changed();
        });
      },
      StatusCode::kUnavailable);
  expect_nothing_arrived_since();
  EXPECT_TRUE(run_until([&] { return fenced && reader_->receiver_gone(holder_->id()) == 1; }));
  on_loop([&] { EXPECT_EQ(holder_->writer_gone(reader_->id()), 0) << "revoke() ended it"; });
}

TEST_P(ReadingEndTest, TheReceiverClosesInTheMiddle) {
  end_by([&] { holder_->transport().close(); }, StatusCode::kUnavailable);
  expect_nothing_arrived_since();
  EXPECT_TRUE(run_until([&] { return reader_->receiver_gone(holder_->id()) == 1; }));
}

TEST_P(ReadingEndTest, OtherReadersGoOn) {
  Node& other = add_node();
  connect(other, *holder_);
  in_the_middle_of_reading(*reader_, *holder_,
                           [&] { holder_->transport().revoke(reader_->id(), [] {}); });
  const ReceiptPtr receipt = other.read(holder_->id(), {other.read_op(3, 1, 0, kPageBytes)});
  ASSERT_TRUE(await(receipt));
  EXPECT_TRUE(receipt->status.ok()) << receipt->status;
  EXPECT_TRUE(equal(other.buffer().page(3), holder_->buffer().page(3)));
}

BATON_ON_EVERY_TRANSPORT(ReadingEndTest);

}  // namespace
}  // namespace baton::conformance
