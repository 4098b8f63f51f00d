// Bytes arrive whole, where they belong, before `done` says so (P1), and `done` comes once.
#include "tests/conformance/conformance_test.h"

namespace baton::conformance {
namespace {

using transport::WriteOp;

class WritingTest : public ConformanceTest {};

TEST_P(WritingTest, BytesAreThereWhenDoneFires) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  for (std::uint32_t page = 0; page < kPageCount; ++page) {
    fill(writer.buffer().page(page), page + 1);
  }
  bool complete_at_done = false;
  std::vector<WriteOp> ops;
  for (std::uint32_t page = 0; page < kPageCount; ++page) {
    ops.push_back(writer.op(page, 1, 0, kPageBytes));
  }
  bool fired = false;
  on_loop([&] {
    writer.transport().write_batch(receiver.id(), std::move(ops), [&](const Status& status) {
      complete_at_done = status.ok() && equal({receiver.buffer().data(), kPageBytes * kPageCount},
                                              {writer.buffer().data(), kPageBytes * kPageCount});
      fired = true;
      world().driver().changed();
    });
    EXPECT_FALSE(fired) << "done was called inside write_batch";
  });
  ASSERT_TRUE(run_until([&] { return fired; }));
  EXPECT_TRUE(complete_at_done);
}

TEST_P(WritingTest, TouchesNothingBesideTheRange) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  fill(receiver.buffer().page(0), 7);
  fill(receiver.buffer().page(1), 8);
  fill(receiver.buffer().page(2), 9);
  fill(writer.buffer().page(1), 10);
  auto expected = copy_of({receiver.buffer().data(), 3 * kPageBytes});
  struct Range {
    std::size_t offset;
    std::size_t length;
  };
  for (const Range range : {Range{0, 1}, Range{kPageBytes - 1, 1}, Range{4097, 63}, Range{100, 1},
                            Range{777, 33'000}}) {
    const ReceiptPtr receipt =
        writer.write(receiver.id(), {writer.op(1, 1, range.offset, range.length)});
    ASSERT_TRUE(await(receipt));
    ASSERT_TRUE(receipt->status.ok()) << receipt->status;
    std::copy_n(writer.buffer().page(1).data() + range.offset, range.length,
                expected.begin() + static_cast<std::ptrdiff_t>(kPageBytes + range.offset));
    EXPECT_TRUE(equal(expected, {receiver.buffer().data(), 3 * kPageBytes}))
        << "offset " << range.offset << ", length " << range.length;
  }
}

TEST_P(WritingTest, LargeBatchesOfLargePages) {
  constexpr std::size_t kLargePage = 8U << 20U;
  Node& receiver = add_node(kLargePage, 4);
  Node& writer = add_node(kLargePage, 4);
  connect(writer, receiver);
  std::vector<WriteOp> ops;
  for (std::uint32_t page = 0; page < 4; ++page) {
    fill(writer.buffer().page(page), page + 20);
    ops.push_back(writer.op(page, 1, 0, kLargePage));
  }
  const ReceiptPtr receipt = writer.write(receiver.id(), std::move(ops));
  ASSERT_TRUE(await(receipt));
  ASSERT_TRUE(receipt->status.ok()) << receipt->status;
  EXPECT_TRUE(
      equal({receiver.buffer().data(), 4 * kLargePage}, {writer.buffer().data(), 4 * kLargePage}));
}

TEST_P(WritingTest, ManySmallOpsInOneBatch) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  std::vector<WriteOp> ops;
  for (std::uint32_t page = 0; page < kPageCount; ++page) {
    fill(writer.buffer().page(page), page + 40);
    for (std::size_t offset = 0; offset < kPageBytes; offset += 1000) {
      ops.push_back(writer.op(page, 1, offset, std::min<std::size_t>(1000, kPageBytes - offset)));
    }
  }
  const ReceiptPtr receipt = writer.write(receiver.id(), std::move(ops));
  ASSERT_TRUE(await(receipt));
  ASSERT_TRUE(receipt->status.ok()) << receipt->status;
  EXPECT_TRUE(equal({receiver.buffer().data(), kPageBytes * kPageCount},
                    {writer.buffer().data(), kPageBytes * kPageCount}));
}

TEST_P(WritingTest, BatchesCompleteInTheOrderOfSubmission) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  const std::size_t before = writer.receipts().size();
  std::vector<ReceiptPtr> receipts;
  for (std::uint32_t i = 0; i < 200; ++i) {
    std::vector<WriteOp> ops;
    if (i % 7 != 3) {  // every seventh batch is empty
      ops.push_back(writer.op(i % kPageCount, 1, 0, i % 5 == 0 ? kPageBytes : 10));
    }
    receipts.push_back(writer.write(receiver.id(), std::move(ops)));
  }
  ASSERT_TRUE(run_until([&] { return writer.all_fired(); }));
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    EXPECT_TRUE(receipts[i]->status.ok()) << receipts[i]->status;
    EXPECT_EQ(receipts[i]->order, before + i + 1);
  }
}

TEST_P(WritingTest, AnEmptyBatchIsDone) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  const ReceiptPtr receipt = writer.write(receiver.id(), {});
  ASSERT_TRUE(await(receipt));
  EXPECT_TRUE(receipt->status.ok()) << receipt->status;
}

TEST_P(WritingTest, ManyWritersToOneReceiver) {
  Node& receiver = add_node();
  constexpr std::uint32_t kWriters = 4;
  constexpr std::uint32_t kPagesEach = kPageCount / kWriters;
  std::vector<Node*> writers;
  for (std::uint32_t w = 0; w < kWriters; ++w) {
    writers.push_back(&add_node());
    connect(*writers.back(), receiver);
    for (std::uint32_t page = 0; page < kPageCount; ++page) {
      fill(writers.back()->buffer().page(page), 100 * (w + 1) + page);
    }
  }
  std::vector<ReceiptPtr> receipts;
  for (std::uint32_t i = 0; i < kPagesEach; ++i) {
    for (std::uint32_t w = 0; w < kWriters; ++w) {
      receipts.push_back(
          writers[w]->write(receiver.id(), {writers[w]->op(w * kPagesEach + i, 1, 0, kPageBytes)}));
    }
  }
  for (const ReceiptPtr& receipt : receipts) {
    ASSERT_TRUE(await(receipt));
    EXPECT_TRUE(receipt->status.ok()) << receipt->status;
  }
  for (std::uint32_t page = 0; page < kPageCount; ++page) {
    EXPECT_TRUE(
        equal(receiver.buffer().page(page), writers[page / kPagesEach]->buffer().page(page)));
  }
}

TEST_P(WritingTest, OneWriterToTwoReceivers) {
  Node& first = add_node();
  Node& second = add_node();
  Node& writer = add_node();
  connect(writer, first);
  connect(writer, second);
  for (std::uint32_t page = 0; page < kPageCount; ++page) {
    fill(writer.buffer().page(page), page + 60);
    writer.write((page % 2 == 0 ? first : second).id(), {writer.op(page, 1, 0, kPageBytes)});
  }
  ASSERT_TRUE(run_until([&] { return writer.all_fired(); }));
  const std::vector<std::byte> untouched(kPageBytes);
  for (std::uint32_t page = 0; page < kPageCount; ++page) {
    const auto expected = writer.buffer().page(page);
    EXPECT_TRUE(equal((page % 2 == 0 ? first : second).buffer().page(page), expected));
    EXPECT_TRUE(equal((page % 2 == 0 ? second : first).buffer().page(page), untouched));
  }
}

TEST_P(WritingTest, BothWaysAtOnce) {
  Node& left = add_node();
  Node& right = add_node();
  connect(left, right);
  connect(right, left);
  fill(left.buffer().page(0), 1);
  fill(right.buffer().page(1), 2);
  const ReceiptPtr there = left.write(right.id(), {left.op(0, 1, 0, kPageBytes)});
  const ReceiptPtr back = right.write(left.id(), {right.op(1, 1, 0, kPageBytes)});
  ASSERT_TRUE(await(there));
  ASSERT_TRUE(await(back));
  EXPECT_TRUE(equal(left.buffer().page(0), right.buffer().page(0)));
  EXPECT_TRUE(equal(left.buffer().page(1), right.buffer().page(1)));
}

TEST_P(WritingTest, AnOpOutsideTheBufferIsRefusedAndNothingOfItsBatchWritten) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  fill(writer.buffer().page(0), 3);
  const std::vector<std::byte> foreign(kPageBytes, std::byte{0x55});
  WriteOp outside = writer.op(1, 1, 0, kPageBytes);
  outside.local = foreign;
  WriteOp across = writer.op(kPageCount - 1, 1, 0, kPageBytes);
  across.local = {across.local.data() + 1, across.local.size()};
  for (const WriteOp& bad : {outside, across}) {
    const ReceiptPtr receipt = writer.write(receiver.id(), {writer.op(0, 1, 0, kPageBytes), bad});
    ASSERT_TRUE(await(receipt));
    EXPECT_EQ(receipt->status.code(), StatusCode::kInvalidArgument) << receipt->status;
  }
  const ReceiptPtr later = writer.write(receiver.id(), {writer.op(2, 1, 0, 1)});
  ASSERT_TRUE(await(later));
  EXPECT_TRUE(later->status.ok()) << "the connection goes on: " << later->status;
  EXPECT_TRUE(equal(receiver.buffer().page(0), std::vector<std::byte>(kPageBytes)));
}

// Where nobody at the receiver looks, the writer has to.
TEST_P(WritingTest, AnOpOutsideTheReceiversPagesIsRefusedAndNothingOfItsBatchWritten) {
  if (capabilities().guards_each_write) {
    GTEST_SKIP() << "the receiver's guard refuses it: see GuardTest";
  }
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  fill(writer.buffer().page(0), 3);
  WriteOp no_such_page = writer.op(3, 1, 0, 100);
  no_such_page.page = kPageCount;
  WriteOp beyond_the_page = writer.op(3, 1, 0, 100);
  beyond_the_page.offset_bytes = kPageBytes - 99;
  WriteOp wraps_around = writer.op(3, 1, 0, 100);
  wraps_around.offset_bytes = ~std::uint64_t{0} - 49;
  WriteOp too_long = writer.op(3, 1, 0, kPageBytes);
  too_long.local = {too_long.local.data(), kPageBytes + 1};
  for (const WriteOp& bad : {no_such_page, beyond_the_page, wraps_around, too_long}) {
    const ReceiptPtr receipt = writer.write(receiver.id(), {writer.op(0, 1, 0, kPageBytes), bad});
    ASSERT_TRUE(await(receipt));
    EXPECT_EQ(receipt->status.code(), StatusCode::kInvalidArgument) << receipt->status;
  }
  const ReceiptPtr later = writer.write(receiver.id(), {writer.op(2, 1, 0, 1)});
  ASSERT_TRUE(await(later));
  EXPECT_TRUE(later->status.ok()) << "the connection goes on: " << later->status;
  EXPECT_TRUE(equal(receiver.buffer().page(0), std::vector<std::byte>(kPageBytes)));
}

TEST_P(WritingTest, NobodyToWriteTo) {
  Node& writer = add_node();
  const ReceiptPtr receipt = writer.write(Epoch::random(), {writer.op(0, 1, 0, 1)});
  ASSERT_TRUE(await(receipt));
  EXPECT_EQ(receipt->status.code(), StatusCode::kUnavailable) << receipt->status;
}

BATON_ON_EVERY_TRANSPORT(WritingTest);

}  // namespace
}  // namespace baton::conformance
