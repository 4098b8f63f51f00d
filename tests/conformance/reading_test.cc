// What is read is what is there, whole, when `done` says so; and nothing else is touched.
#include "tests/conformance/conformance_test.h"

namespace baton::conformance {
namespace {

using transport::ReadOp;

class ReadingTest : public ConformanceTest {
 protected:
  void prepare(std::size_t page_bytes = kPageBytes, std::uint32_t page_count = kPageCount) {
    holder_ = &add_node(page_bytes, page_count);
    reader_ = &add_node(page_bytes, page_count);
    connect(*reader_, *holder_);
    for (std::uint32_t page = 0; page < page_count; ++page) {
      fill(holder_->buffer().page(page), page + 1);
    }
    held_ = copy_of({holder_->buffer().data(), holder_->buffer().size_bytes()});
  }

  Status read(std::vector<ReadOp> ops) {
    const ReceiptPtr receipt = reader_->read(holder_->id(), std::move(ops));
    EXPECT_TRUE(await(receipt));
    return receipt->status;
  }

  /// Not the holder's own: a copy in the wrong direction would make them equal, too.
  bool has_read_all() const {
    return equal(held_, {reader_->buffer().data(), reader_->buffer().size_bytes()});
  }
  void expect_same_pages() {
    on_loop([&] {
      EXPECT_TRUE(has_read_all());
      EXPECT_TRUE(equal(held_, {holder_->buffer().data(), holder_->buffer().size_bytes()}));
    });
  }

  Node* holder_ = nullptr;
  Node* reader_ = nullptr;
  std::vector<std::byte> held_;
};

TEST_P(ReadingTest, BytesAreThereWhenDoneFires) {
  prepare();
  std::vector<ReadOp> ops;
  for (std::uint32_t page = 0; page < kPageCount; ++page) {
    ops.push_back(reader_->read_op(page, 1, 0, kPageBytes));
  }
  bool complete_at_done = false;
  bool fired = false;
  on_loop([&] {
    reader_->transport().read_batch(holder_->id(), std::move(ops), [&](const Status& status) {
      complete_at_done = status.ok() && has_read_all();
      fired = true;
      world().driver().changed();
    });
    EXPECT_FALSE(fired) << "done was called inside read_batch";
  });
  ASSERT_TRUE(run_until([&] { return fired; }));
  EXPECT_TRUE(complete_at_done);
}

TEST_P(ReadingTest, TouchesNothingBesideTheRangeOnEitherSide) {
  prepare();
  fill({reader_->buffer().data(), reader_->buffer().size_bytes()}, 99);
  auto expected = copy_of({reader_->buffer().data(), reader_->buffer().size_bytes()});
  struct Range {
    std::size_t offset;
    std::size_t length;
  };
  for (const Range range : {Range{0, 1}, Range{kPageBytes - 1, 1}, Range{4097, 63}, Range{100, 1},
                            Range{10, 0}, Range{777, 33'000}, Range{0, kPageBytes}}) {
    const Status status = read({reader_->read_op(3, 1, range.offset, range.length)});
    ASSERT_TRUE(status.ok()) << status;
    std::copy_n(held_.begin() + static_cast<std::ptrdiff_t>(3 * kPageBytes + range.offset),
                range.length,
                expected.begin() + static_cast<std::ptrdiff_t>(3 * kPageBytes + range.offset));
    on_loop([&] {
      EXPECT_TRUE(equal(expected, {reader_->buffer().data(), reader_->buffer().size_bytes()}))
          << "offset " << range.offset << ", length " << range.length;
      EXPECT_TRUE(equal(held_, {holder_->buffer().data(), holder_->buffer().size_bytes()}));
    });
  }
}

TEST_P(ReadingTest, FromOnePageIntoAnother) {
  prepare();
  ReadOp op = reader_->read_op(2, 1, 5000, 1234);
  op.page = 7;
  op.offset_bytes = 31;
  ASSERT_TRUE(read({op}).ok());
  on_loop([&] {
    EXPECT_TRUE(equal(reader_->buffer().page(2).subspan(5000, 1234),
                      holder_->buffer().page(7).subspan(31, 1234)));
  });
}

TEST_P(ReadingTest, LargeBatchesOfLargePages) {
  constexpr std::size_t kLargePage = 8U << 20U;
  prepare(kLargePage, 4);
  std::vector<ReadOp> ops;
  for (std::uint32_t page = 0; page < 4; ++page) {
    ops.push_back(reader_->read_op(page, 1, 0, kLargePage));
  }
  const Status status = read(std::move(ops));
  ASSERT_TRUE(status.ok()) << status;
  expect_same_pages();
}

TEST_P(ReadingTest, ManySmallOpsInOneBatch) {
  prepare();
  std::vector<ReadOp> ops;
  for (std::uint32_t page = 0; page < kPageCount; ++page) {
    for (std::size_t offset = 0; offset < kPageBytes; offset += 1000) {
      ops.push_back(
          reader_->read_op(page, 1, offset, std::min<std::size_t>(1000, kPageBytes - offset)));
    }
  }
  const Status status = read(std::move(ops));
  ASSERT_TRUE(status.ok()) << status;
  expect_same_pages();
}

TEST_P(ReadingTest, ReadsAndWritesCompleteInTheOrderOfSubmission) {
  prepare();
  const std::size_t before = reader_->receipts().size();
  std::vector<ReceiptPtr> receipts;
  for (std::uint32_t i = 0; i < 200; ++i) {
    // Written pages are even, read ones odd; every seventh batch is empty.
    const std::size_t bytes = i % 7 == 3 ? 0 : i % 5 == 0 ? kPageBytes : 10;
    const std::uint32_t pair = i % (kPageCount / 2) * 2;
    receipts.push_back(
        i % 2 == 0 ? reader_->write(holder_->id(), {reader_->op(pair, 1, 0, bytes)})
                   : reader_->read(holder_->id(), {reader_->read_op(pair + 1, 1, 0, bytes)}));
  }
  ASSERT_TRUE(run_until([&] { return reader_->all_fired(); }));
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    EXPECT_TRUE(receipts[i]->status.ok()) << receipts[i]->status;
    EXPECT_EQ(receipts[i]->order, before + i + 1);
  }
}

TEST_P(ReadingTest, AReadAfterAWriteIsDoneFindsItsBytes) {
  prepare();
  for (std::uint32_t round = 0; round < 20; ++round) {
    const std::uint32_t from = round % 4;
    const std::uint32_t into = 8 + round % 5;
    fill(reader_->buffer().page(from), 1000 + round);
    const ReceiptPtr written = reader_->write(holder_->id(), {reader_->op(from, 1, 0, kPageBytes)});
    ASSERT_TRUE(await(written));
    ReadOp back = reader_->read_op(into, 1, 0, kPageBytes);
    back.page = from;
    ASSERT_TRUE(read({back}).ok());
    on_loop(
        [&] { EXPECT_TRUE(equal(reader_->buffer().page(from), reader_->buffer().page(into))); });
  }
}

TEST_P(ReadingTest, BothWaysAndWritesAtOnce) {
  prepare();
  connect(*holder_, *reader_);
  std::vector<ReceiptPtr> receipts;
  fill(reader_->buffer().page(9), 50);
  fill(reader_->buffer().page(8), 51);
  for (int i = 0; i < 20; ++i) {
    receipts.push_back(reader_->read(holder_->id(), {reader_->read_op(0, 1, 0, kPageBytes)}));
    receipts.push_back(holder_->read(reader_->id(), {holder_->read_op(9, 1, 0, kPageBytes)}));
    receipts.push_back(reader_->write(holder_->id(), {reader_->op(8, 1, 0, kPageBytes)}));
    receipts.push_back(holder_->write(reader_->id(), {holder_->op(1, 1, 0, kPageBytes)}));
  }
  for (const ReceiptPtr& receipt : receipts) {
    ASSERT_TRUE(await(receipt));
    EXPECT_TRUE(receipt->status.ok()) << receipt->status;
  }
  on_loop([&] {
    for (const std::uint32_t page : {0U, 1U, 8U, 9U}) {
      EXPECT_TRUE(equal(reader_->buffer().page(page), holder_->buffer().page(page))) << page;
    }
  });
}

TEST_P(ReadingTest, ManyReadersOfOneHolder) {
  prepare();
  std::vector<Node*> readers{reader_};
  for (int i = 0; i < 3; ++i) {
    readers.push_back(&add_node());
    connect(*readers.back(), *holder_);
  }
  std::vector<ReceiptPtr> receipts;
  for (Node* reader : readers) {
    on_loop([&] { receipts.push_back(reader->read_on_loop(holder_->id(), 4).back()); });
  }
  for (std::size_t i = 0; i < readers.size(); ++i) {
    ASSERT_TRUE(await(receipts[i]));
    EXPECT_TRUE(receipts[i]->status.ok()) << receipts[i]->status;
    reader_ = readers[i];
    expect_same_pages();
  }
}

TEST_P(ReadingTest, AnEmptyBatchIsDone) {
  prepare();
  EXPECT_TRUE(read({}).ok());
}

TEST_P(ReadingTest, AnOpOutsideTheBufferIsRefusedAndNothingOfItsBatchRead) {
  prepare();
  std::vector<std::byte> elsewhere(kPageBytes);
  ReadOp foreign = reader_->read_op(1, 1, 0, kPageBytes);
  foreign.local = elsewhere;
  ReadOp across = reader_->read_op(kPageCount - 1, 1, 0, kPageBytes);
  across.local = {across.local.data() + 1, across.local.size()};
  for (const ReadOp& bad : {foreign, across}) {
    EXPECT_EQ(read({reader_->read_op(0, 1, 0, kPageBytes), bad}).code(),
              StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(read({reader_->read_op(2, 1, 0, 1)}).ok()) << "the connection goes on";
  on_loop([&] {
    EXPECT_TRUE(equal(reader_->buffer().page(0), std::vector<std::byte>(kPageBytes)));
    EXPECT_EQ(elsewhere, std::vector<std::byte>(kPageBytes));
  });
}

// Where nobody at the receiver looks, the reader has to.
TEST_P(ReadingTest, AnOpOutsideTheReceiversPagesIsRefusedAndNothingOfItsBatchRead) {
  if (capabilities().guards_each_write) {
    GTEST_SKIP() << "the receiver's guard refuses it: see ReadingGuardTest";
  }
  prepare();
  ReadOp no_such_page = reader_->read_op(1, 1, 0, 100);
  no_such_page.page = kPageCount;
  ReadOp beyond_the_page = reader_->read_op(1, 1, 0, 100);
  beyond_the_page.offset_bytes = kPageBytes - 99;
  ReadOp wraps_around = reader_->read_op(1, 1, 0, 100);
  wraps_around.offset_bytes = ~std::uint64_t{0} - 49;
  ReadOp too_long = reader_->read_op(1, 1, 0, kPageBytes);
  too_long.local = {too_long.local.data(), kPageBytes + 1};
  for (const ReadOp& bad : {no_such_page, beyond_the_page, wraps_around, too_long}) {
    EXPECT_EQ(read({reader_->read_op(0, 1, 0, kPageBytes), bad}).code(),
              StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(read({reader_->read_op(2, 1, 0, 1)}).ok()) << "the connection goes on";
  on_loop(
      [&] { EXPECT_TRUE(equal(reader_->buffer().page(0), std::vector<std::byte>(kPageBytes))); });
}

TEST_P(ReadingTest, AfterTheFenceNothingIsRead) {
  prepare();
  ASSERT_TRUE(await(holder_->revoke(reader_->id())));
  ASSERT_TRUE(run_until([&] { return reader_->receiver_gone(holder_->id()) == 1; }));
  EXPECT_EQ(read({reader_->read_op(0, 1, 0, kPageBytes)}).code(), StatusCode::kUnavailable);
  EXPECT_TRUE(equal(reader_->buffer().page(0), std::vector<std::byte>(kPageBytes)));
}

TEST_P(ReadingTest, NobodyToReadFrom) {
  Node& reader = add_node();
  const ReceiptPtr receipt = reader.read(Epoch::random(), {reader.read_op(0, 1, 0, 1)});
  ASSERT_TRUE(await(receipt));
  EXPECT_EQ(receipt->status.code(), StatusCode::kUnavailable) << receipt->status;
}

BATON_ON_EVERY_TRANSPORT(ReadingTest);

}  // namespace
}  // namespace baton::conformance
