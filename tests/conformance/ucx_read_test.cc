// Reading out of a receiver's pages by RDMA. The other transports follow when reads get a protocol.
#include "tests/conformance/conformance_test.h"

namespace baton::conformance {
namespace {

using transport::ReadOp;

class UcxReadTest : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    holder_ = &add_node();
    reader_ = &add_node();
    connect(*reader_, *holder_);
    for (std::uint32_t page = 0; page < kPageCount; ++page) {
      fill(holder_->buffer().page(page), page + 1);
    }
  }

  ReadOp op(std::uint32_t page, std::size_t offset_bytes, std::size_t length_bytes) {
    return {.local = reader_->buffer().page(page).subspan(offset_bytes, length_bytes),
            .page = page,
            .generation = 0,
            .offset_bytes = offset_bytes};
  }

  Status read(std::vector<ReadOp> ops) {
    int fired = 0;
    bool in_call = true;
    bool fired_inline = false;
    Status result;
    on_loop([&] {
      reader_->transport().read_batch(holder_->id(), std::move(ops), [&](const Status& status) {
        ++fired;
        fired_inline = in_call;
        result = status;
        world().driver().changed();
      });
      in_call = false;
    });
    EXPECT_TRUE(run_until([&] { return fired > 0; }));
    EXPECT_EQ(fired, 1);
    EXPECT_FALSE(fired_inline);
    return result;
  }

  Node* holder_ = nullptr;
  Node* reader_ = nullptr;
};

TEST_P(UcxReadTest, BytesAreThereWhenDoneFires) {
  std::vector<ReadOp> ops;
  for (std::uint32_t page = 0; page < kPageCount; ++page) {
    ops.push_back(op(page, 0, kPageBytes));
  }
  ASSERT_TRUE(read(std::move(ops)).ok());
  EXPECT_TRUE(equal({holder_->buffer().data(), holder_->buffer().size_bytes()},
                    {reader_->buffer().data(), reader_->buffer().size_bytes()}));
}

TEST_P(UcxReadTest, TouchesNothingBesideTheRangeOnEitherSide) {
  fill(reader_->buffer().page(3), 99);
  auto expected = copy_of(reader_->buffer().page(3));
  const auto held = copy_of(holder_->buffer().page(3));
  ASSERT_TRUE(read({op(3, 777, 33'000), op(3, kPageBytes - 1, 1), op(3, 10, 0)}).ok());
  std::copy_n(held.begin() + 777, 33'000, expected.begin() + 777);
  expected.back() = held.back();
  EXPECT_TRUE(equal(expected, reader_->buffer().page(3)));
  EXPECT_TRUE(equal(held, holder_->buffer().page(3)));
}

TEST_P(UcxReadTest, ARangeOutsideIsRefusedAndNothingOfItsBatchRead) {
  ReadOp no_such_page = op(1, 0, 100);
  no_such_page.page = kPageCount;
  ReadOp beyond_the_page = op(1, 0, 100);
  beyond_the_page.offset_bytes = kPageBytes - 99;
  std::vector<std::byte> elsewhere(100);
  ReadOp foreign = op(1, 0, 100);
  foreign.local = elsewhere;
  for (const ReadOp& bad : {no_such_page, beyond_the_page, foreign}) {
    EXPECT_EQ(read({op(0, 0, kPageBytes), bad}).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(equal(reader_->buffer().page(0), std::vector<std::byte>(kPageBytes)));
  EXPECT_TRUE(read({op(0, 0, 1)}).ok()) << "the connection goes on";
}

TEST_P(UcxReadTest, AfterTheFenceNothingIsRead) {
  ASSERT_TRUE(await(holder_->revoke(reader_->id())));
  ASSERT_TRUE(run_until([&] { return reader_->receiver_gone(holder_->id()) == 1; }));
  EXPECT_EQ(read({op(0, 0, kPageBytes)}).code(), StatusCode::kUnavailable);
  EXPECT_TRUE(equal(reader_->buffer().page(0), std::vector<std::byte>(kPageBytes)));
}

INSTANTIATE_TEST_SUITE_P(Conformance, UcxReadTest,
                         ::testing::Values(Maker{"ucx", make_ucx_under_test}),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace baton::conformance
