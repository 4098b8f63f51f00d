// Where a transport takes the digests of what it writes: they are right, and there when `done` says
// so; and nobody sets them afterwards.
#include <memory>

#include "src/base/digest.h"
#include "tests/conformance/conformance_test.h"

namespace baton::conformance {
namespace {

using transport::WriteOp;

constexpr std::uint64_t kUnset = 42;
constexpr std::size_t kLargePageBytes = 3U << 20U;

class DigestsTest : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    receiver_ = &add_node(kLargePageBytes);
    writer_ = &add_node(kLargePageBytes);
    if (!writer_->transport().digests_writes()) {
      GTEST_SKIP() << "it leaves digests to its user";
    }
    connect(*writer_, *receiver_);
    for (std::uint32_t page = 0; page < kPageCount; ++page) {
      fill(writer_->buffer().page(page), page + 1);
    }
  }

  Node* receiver_ = nullptr;
  Node* writer_ = nullptr;
};

TEST_P(DigestsTest, AreThereWhenDoneFires) {
  struct Range {
    std::size_t offset;
    std::size_t length;
  };
  std::vector<Range> ranges{{0, 0},      {0, 1},      {5, 240},      {64, 241},   {0, 1024},
                            {1, 4095},   {0, 4096},   {3, 4096},     {128, 5001}, {0, 65536},
                            {64, 65535}, {64, 65537}, {7, 1U << 20U}};
  ranges.push_back({0, kLargePageBytes});
  ranges.push_back({kLargePageBytes - 9999, 9999});
  std::vector<WriteOp> ops;
  std::vector<std::uint64_t> digests(ranges.size(), kUnset);
  std::vector<std::uint64_t> expected;
  for (std::uint32_t page = 0; page < ranges.size(); ++page) {
    ops.push_back(writer_->op(page, 1, ranges[page].offset, ranges[page].length));
    ops.back().digest = &digests[page];
    expected.push_back(digest_of(ops.back().local));
    ops.push_back(writer_->op(page, 1, 0, 10));  // one that wants none, between
  }
  const auto written = ops;
  std::vector<std::uint64_t> at_done;
  bool fired = false;
  on_loop([&] {
    writer_->transport().write_batch(receiver_->id(), std::move(ops), [&](const Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      at_done = digests;
      fired = true;
      world().driver().changed();
    });
  });
  ASSERT_TRUE(run_until([&] { return fired; }));
  EXPECT_EQ(at_done, expected);
  for (const WriteOp& op : written) {
    EXPECT_TRUE(equal(op.local,
                      receiver_->buffer().page(op.page).subspan(op.offset_bytes, op.local.size())));
  }
}

TEST_P(DigestsTest, OfManyBatchesAtATime) {
  constexpr std::size_t kBatches = 40;
  constexpr std::size_t kBytes = 100'001;
  std::vector<std::uint64_t> digests(kBatches, kUnset);
  std::vector<ReceiptPtr> receipts;
  for (std::uint32_t i = 0; i < kBatches; ++i) {
    WriteOp op = writer_->op(i % kPageCount, 1, i, kBytes);
    op.digest = &digests[i];
    receipts.push_back(writer_->write(receiver_->id(), {op}));
  }
  for (std::uint32_t i = 0; i < kBatches; ++i) {
    ASSERT_TRUE(await(receipts[i]));
    ASSERT_TRUE(receipts[i]->status.ok()) << receipts[i]->status;
    EXPECT_EQ(digests[i], digest_of(writer_->buffer().page(i % kPageCount).subspan(i, kBytes)));
  }
}

// Each `done` takes what its digests are set in with it: a sanitizer sees who comes later.
TEST_P(DigestsTest, NobodySetsThemAfterTheEndOfTheirBatch) {
  if (would_harm_the_other_side()) {
    GTEST_SKIP() << "a connection must not end in the middle of a write";
  }
  constexpr int kBatches = 8;
  int ended = 0;
  int cancelled = 0;
  on_loop([&] {
    for (int i = 0; i < kBatches; ++i) {
      auto digests = std::make_unique<std::vector<std::uint64_t>>(kPageCount, kUnset);
      std::vector<WriteOp> ops;
      for (std::uint32_t page = 0; page < kPageCount; ++page) {
        ops.push_back(writer_->op(page, 1, 0, kLargePageBytes));
        ops.back().digest = &(*digests)[page];
      }
      writer_->transport().write_batch(
          receiver_->id(), std::move(ops),
          [&, first = i == 0, digests = std::move(digests)](const Status& status) mutable {
            // More than the first may be complete before its turn: others take part in copying.
            if (status.ok()) {
              EXPECT_EQ(cancelled, 0) << "batches complete in order";
              EXPECT_EQ(digests->front(), digest_of(writer_->buffer().page(0)));
            } else {
              EXPECT_TRUE(absl::IsCancelled(status)) << status;
              ++cancelled;
            }
            if (first) {
              EXPECT_TRUE(status.ok()) << status;
              writer_->transport().disconnect(receiver_->id());
            }
            digests.reset();
            ++ended;
            world().driver().changed();
          });
    }
  });
  ASSERT_TRUE(run_until([&] { return ended == kBatches; }));
}

BATON_ON_EVERY_TRANSPORT(DigestsTest);

}  // namespace
}  // namespace baton::conformance
