// A write outside its grant ends the connection, is counted, and changes nothing (P3, P7, P8).
#include "tests/conformance/conformance_test.h"

namespace baton::conformance {
namespace {

using transport::WriteOp;

class GuardTest : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    if (!capabilities().guards_each_write) {
      GTEST_SKIP() << "the receiving side takes no part in the copy";
    }
    receiver_ = &add_node();
    writer_ = &add_node();
    connect(*writer_, *receiver_);
    fill({writer_->buffer().data(), writer_->buffer().size_bytes()}, 1);
    fill({receiver_->buffer().data(), receiver_->buffer().size_bytes()}, 2);
    before_ = copy_of({receiver_->buffer().data(), receiver_->buffer().size_bytes()});
  }

  void expect_refused(const WriteOp& op) {
    const ReceiptPtr receipt = writer_->write(receiver_->id(), {op});
    ASSERT_TRUE(await(receipt));
    EXPECT_FALSE(receipt->status.ok());
    EXPECT_TRUE(run_until([&] { return receiver_->writer_gone(writer_->id()) == 1; }));
    EXPECT_TRUE(run_until([&] { return writer_->receiver_gone(receiver_->id()) == 1; }));
    expect_rejections(1);
    EXPECT_TRUE(equal(before_, {receiver_->buffer().data(), receiver_->buffer().size_bytes()}));
  }

  void expect_rejections(std::uint64_t count) {
    on_loop([&] { EXPECT_EQ(world().rejected_writes(receiver_->transport()), count); });
  }

  Node* receiver_ = nullptr;
  Node* writer_ = nullptr;
  std::vector<std::byte> before_;
};

TEST_P(GuardTest, AnotherGeneration) {
  expect_refused(writer_->op(3, 2, 0, 100));
}

TEST_P(GuardTest, APageThatWasNotGranted) {
  on_loop([&] { receiver_->grants().withdraw(3, 1); });
  expect_refused(writer_->op(3, 1, 0, 100));
}

TEST_P(GuardTest, APageBeyondTheBuffer) {
  WriteOp op = writer_->op(3, 1, 0, 100);
  op.page = kPageCount;
  on_loop([&] { receiver_->grants().grant(kPageCount, 1); });
  expect_refused(op);
}

TEST_P(GuardTest, OneByteBeyondThePage) {
  WriteOp op = writer_->op(3, 1, 0, 100);
  op.offset_bytes = kPageBytes - 99;
  expect_refused(op);
}

TEST_P(GuardTest, MoreThanAPage) {
  WriteOp op = writer_->op(3, 1, 0, kPageBytes);
  op.local = {op.local.data(), kPageBytes + 1};
  expect_refused(op);
}

TEST_P(GuardTest, NothingOfAWriteThatIsOneByteTooLongIsPlaced) {
  // Small enough to travel in one piece also where larger writes are cut.
  Node& receiver = add_node(kPageBytes, 2);
  Node& writer = add_node(2 * kPageBytes, 1);
  connect(writer, receiver);
  fill(writer.buffer().page(0), 1);
  const ReceiptPtr receipt = writer.write(receiver.id(), {writer.op(0, 1, 0, kPageBytes + 1)});
  ASSERT_TRUE(await(receipt));
  EXPECT_FALSE(receipt->status.ok());
  const std::vector<std::byte> untouched(2 * kPageBytes);
  on_loop([&] {
    EXPECT_TRUE(equal(untouched, {receiver.buffer().data(), receiver.buffer().size_bytes()}));
  });
}

TEST_P(GuardTest, AnOffsetThatWrapsAround) {
  WriteOp op = writer_->op(3, 1, 0, 100);
  op.offset_bytes = ~std::uint64_t{0} - 49;
  expect_refused(op);
}

TEST_P(GuardTest, AGrantThatEndsInTheMiddle) {
  on_loop([&] {
    const std::uint64_t last = receiver_->grants().pieces() + 40;
    receiver_->grants().on_piece([this, last](std::uint64_t pieces) {
      if (pieces >= last) {
        for (std::uint32_t page = 0; page < kPageCount; ++page) {
          receiver_->grants().withdraw(page, 1);
        }
      }
    });
  });
  std::vector<ReceiptPtr> receipts;
  on_loop([&] { receipts = writer_->write_on_loop(receiver_->id(), 64); });
  ASSERT_TRUE(run_until([&] { return writer_->all_fired(); }));
  EXPECT_FALSE(receipts.back()->status.ok());
  expect_rejections(1);
}

TEST_P(GuardTest, AGrantThatEndsInTheMiddleOfOneWrite) {
  constexpr std::size_t kLargePage = 16U << 20U;
  Node& receiver = add_node(kLargePage, 1);
  Node& writer = add_node(kLargePage, 1);
  connect(writer, receiver);
  fill(writer.buffer().page(0), 1);
  on_loop([&] {
    receiver.grants().on_piece([&receiver](std::uint64_t pieces) {
      if (pieces == 3) {
        receiver.grants().withdraw(0, 1);
      }
    });
  });
  const ReceiptPtr receipt = writer.write(receiver.id(), {writer.op(0, 1, 0, kLargePage)});
  ASSERT_TRUE(await(receipt));
  EXPECT_FALSE(receipt->status.ok());
  on_loop([&] {
    EXPECT_EQ(receiver.grants().pieces(), 4U) << "asked once too often, and refused";
    EXPECT_EQ(world().rejected_writes(receiver.transport()), 1U);
    EXPECT_EQ(receiver.buffer().page(0).back(), std::byte{0});
  });
}

TEST_P(GuardTest, OtherWritersGoOn) {
  Node& other = add_node();
  connect(other, *receiver_);
  const ReceiptPtr bad = writer_->write(receiver_->id(), {writer_->op(3, 2, 0, 100)});
  const ReceiptPtr good = other.write(receiver_->id(), {other.op(4, 1, 0, kPageBytes)});
  ASSERT_TRUE(await(bad));
  ASSERT_TRUE(await(good));
  EXPECT_FALSE(bad->status.ok());
  EXPECT_TRUE(good->status.ok()) << good->status;
}

BATON_ON_EVERY_TRANSPORT(GuardTest);

}  // namespace
}  // namespace baton::conformance
