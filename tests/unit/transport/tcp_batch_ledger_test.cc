// A batch is done when all of its parts are, and never before its predecessors (P1).
#include "src/transport/tcp/batch_ledger.h"

#include <gtest/gtest.h>

namespace baton::transport::tcp {
namespace {

class BatchLedgerTest : public ::testing::Test {
 protected:
  void add(BatchLedger::Sequences parts, Status verdict = absl::OkStatus()) {
    ledger_.add(std::move(parts), std::move(verdict), [](const Status&) {});
  }
  std::size_t finished(const BatchLedger::Sequences& acknowledged) {
    return ledger_.take_finished(acknowledged).size();
  }

  BatchLedger ledger_;
};

TEST_F(BatchLedgerTest, EveryPartCounts) {
  add({1, 1});
  EXPECT_EQ(finished({1, 0}), 0U);
  EXPECT_EQ(finished({0, 1}), 0U);
  EXPECT_EQ(finished({1, 1}), 1U);
  EXPECT_TRUE(ledger_.empty());
}

TEST_F(BatchLedgerTest, AStreamWithoutAPartIsNotWaitedFor) {
  add({0, 1});
  EXPECT_EQ(finished({0, 1}), 1U);
}

TEST_F(BatchLedgerTest, ALaterBatchWaitsForAnEarlierOne) {
  add({1, 0});
  add({0, 1});
  add({}, absl::InvalidArgumentError("wrong"));
  EXPECT_EQ(finished({0, 1}), 0U);
  const auto all = ledger_.take_finished({1, 1});
  ASSERT_EQ(all.size(), 3U);
  EXPECT_TRUE(all[0].status.ok());
  EXPECT_TRUE(all[1].status.ok());
  EXPECT_EQ(all[2].status.code(), StatusCode::kInvalidArgument);
}

TEST_F(BatchLedgerTest, AbandonedBatchesKeepTheirOrderAndTheirOwnVerdicts) {
  add({1, 0});
  add({}, absl::InvalidArgumentError("wrong"));
  add({2, 1});
  const auto left = ledger_.abandon(absl::CancelledError("enough"));
  ASSERT_EQ(left.size(), 3U);
  EXPECT_EQ(left[0].status.code(), StatusCode::kCancelled);
  EXPECT_EQ(left[1].status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(left[2].status.code(), StatusCode::kCancelled);
  EXPECT_TRUE(ledger_.empty());
}

}  // namespace
}  // namespace baton::transport::tcp
