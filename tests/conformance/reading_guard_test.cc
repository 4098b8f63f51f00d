// A read that the receiver's guard refuses ends the connection, is counted, and brings no bytes.
#include "tests/conformance/conformance_test.h"

namespace baton::conformance {
namespace {

using transport::ReadOp;

class ReadingGuardTest : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    if (!capabilities().guards_each_write) {
      GTEST_SKIP() << "the receiving side takes no part in the copy";
    }
    holder_ = &add_node();
    reader_ = &add_node();
    connect(*reader_, *holder_);
    fill({holder_->buffer().data(), holder_->buffer().size_bytes()}, 1);
  }

  void expect_refused(const ReadOp& op) {
    const ReceiptPtr receipt = reader_->read(holder_->id(), {op});
    ASSERT_TRUE(await(receipt));
    EXPECT_FALSE(receipt->status.ok());
    EXPECT_TRUE(run_until([&] { return holder_->writer_gone(reader_->id()) == 1; }));
    EXPECT_TRUE(run_until([&] { return reader_->receiver_gone(holder_->id()) == 1; }));
    expect_rejections(*holder_, 1);
    EXPECT_TRUE(equal(std::vector<std::byte>(reader_->buffer().size_bytes()),
                      {reader_->buffer().data(), reader_->buffer().size_bytes()}));
  }

  void expect_rejections(Node& holder, std::uint64_t count) {
    on_loop([&] {
      EXPECT_EQ(world().rejected_reads(holder.transport()), count);
      EXPECT_EQ(world().rejected_writes(holder.transport()), 0U);
    });
  }

  Node* holder_ = nullptr;
  Node* reader_ = nullptr;
};

TEST_P(ReadingGuardTest, AnotherGeneration) {
  expect_refused(reader_->read_op(3, 2, 0, 100));
}

TEST_P(ReadingGuardTest, APageThatMayNotBeRead) {
  on_loop([&] { holder_->grants().withdraw(3, 1); });
  expect_refused(reader_->read_op(3, 1, 0, 100));
}

TEST_P(ReadingGuardTest, APageBeyondTheBuffer) {
  ReadOp op = reader_->read_op(3, 1, 0, 100);
  op.page = kPageCount;
  on_loop([&] { holder_->grants().grant(kPageCount, 1); });
  expect_refused(op);
}

TEST_P(ReadingGuardTest, OneByteBeyondThePage) {
  ReadOp op = reader_->read_op(3, 1, 0, 100);
  op.offset_bytes = kPageBytes - 99;
  expect_refused(op);
}

TEST_P(ReadingGuardTest, MoreThanAPage) {
  ReadOp op = reader_->read_op(3, 1, 0, kPageBytes);
  op.local = {op.local.data(), kPageBytes + 1};
  expect_refused(op);
}

TEST_P(ReadingGuardTest, AnOffsetThatWrapsAround) {
  ReadOp op = reader_->read_op(3, 1, 0, 100);
  op.offset_bytes = ~std::uint64_t{0} - 49;
  expect_refused(op);
}

TEST_P(ReadingGuardTest, ARightThatEndsInTheMiddle) {
  on_loop([&] {
    const std::uint64_t last = holder_->grants().pieces() + 40;
    holder_->grants().on_piece([this, last](std::uint64_t pieces) {
      if (pieces >= last) {
        for (std::uint32_t page = 0; page < kPageCount; ++page) {
          holder_->grants().withdraw(page, 1);
        }
      }
    });
  });
  std::vector<ReceiptPtr> receipts;
  on_loop([&] { receipts = reader_->read_on_loop(holder_->id(), 64); });
  ASSERT_TRUE(run_until([&] { return reader_->all_fired(); }));
  EXPECT_FALSE(receipts.back()->status.ok());
  expect_rejections(*holder_, 1);
}

TEST_P(ReadingGuardTest, ARightThatEndsInTheMiddleOfOneRead) {
  constexpr std::size_t kLargePage = 16U << 20U;
  Node& holder = add_node(kLargePage, 1);
  Node& reader = add_node(kLargePage, 1);
  connect(reader, holder);
  fill(holder.buffer().page(0), 1);
  on_loop([&] {
    holder.grants().on_piece([&holder](std::uint64_t pieces) {
      if (pieces == 3) {
        holder.grants().withdraw(0, 1);
      }
    });
  });
  const ReceiptPtr receipt = reader.read(holder.id(), {reader.read_op(0, 1, 0, kLargePage)});
  ASSERT_TRUE(await(receipt));
  EXPECT_FALSE(receipt->status.ok());
  expect_rejections(holder, 1);
  on_loop([&] {
    EXPECT_EQ(holder.grants().pieces(), 4U) << "asked once too often, and refused";
    EXPECT_TRUE(equal(reader.buffer().page(0).last(kLargePage / 2),
                      std::vector<std::byte>(kLargePage / 2)));
  });
}

TEST_P(ReadingGuardTest, OthersGoOn) {
  Node& other = add_node();
  connect(other, *holder_);
  const ReceiptPtr bad = reader_->read(holder_->id(), {reader_->read_op(3, 2, 0, 100)});
  const ReceiptPtr good = other.read(holder_->id(), {other.read_op(4, 1, 0, kPageBytes)});
  ASSERT_TRUE(await(bad));
  ASSERT_TRUE(await(good));
  EXPECT_FALSE(bad->status.ok());
  EXPECT_TRUE(good->status.ok()) << good->status;
}

BATON_ON_EVERY_TRANSPORT(ReadingGuardTest);

}  // namespace
}  // namespace baton::conformance
