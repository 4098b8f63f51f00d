// Requests whose chunks lie in the receiver's pages, over shared memory, as a user makes them.
// Promises: P1, P3, P6.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baton/pd_backend.h"
#include "tests/support/backend_pair.h"
#include "tests/support/waiting.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

class InPlaceTest : public ::testing::Test {
 protected:
  static std::unique_ptr<PdBackend> make(Role role, TransportChoice transport) {
    return make_backend(small_options(role, 64, transport));
  }
  RequestHandle open(const std::string& req_id, std::uint32_t chunks) {
    auto request = prefill_->open_request({.to = transfer_to(*decode_, req_id, chunks),
                                           .keys = small_keys(0, chunks),
                                           .timeout = std::nullopt,
                                           .in_place = true});
    EXPECT_TRUE(request.ok()) << request.status();
    return *std::move(request);
  }
  static std::vector<MemoryObj> write(const RequestHandle& request, std::uint32_t chunks) {
    auto objects = request.batched_allocate(small_chunk(), chunks);
    EXPECT_TRUE(objects.ok()) << objects.status();
    for (std::uint32_t i = 0; i < chunks; ++i) {
      fill((*objects)[i], i);
    }
    return *std::move(objects);
  }
  void put_and_claim(const std::string& req_id, std::span<const MemoryObj> objects) {
    const auto chunks = static_cast<std::uint32_t>(objects.size());
    const auto put = prefill_->batched_submit_put_task(small_keys(0, chunks), objects,
                                                       transfer_to(*decode_, req_id, chunks));
    ASSERT_TRUE(put.ok()) << put.status();
    const Status ended = put->wait(10s);
    ASSERT_TRUE(ended.ok()) << ended;
    moved_ = put->stats().bytes_written;
    const auto claim = decode_->claim(req_id, small_keys(0, chunks));
    ASSERT_TRUE(claim.ok()) << claim.status();
    for (std::uint32_t i = 0; i < chunks; ++i) {
      EXPECT_TRUE(holds(claim->chunks()[i], i)) << i;
    }
  }

  std::unique_ptr<PdBackend> decode_ = make(Role::kReceiver, TransportChoice::kShm);
  std::unique_ptr<PdBackend> prefill_ = make(Role::kSender, TransportChoice::kShm);
  std::uint64_t moved_ = 0;
};

TEST_F(InPlaceTest, ThePutMovesNoBytes) {
  const RequestHandle request = open("req", 12);
  std::vector<MemoryObj> objects = write(request, 12);
  EXPECT_THAT(objects, ::testing::Each(::testing::Property(&MemoryObj::in_place, true)));
  EXPECT_GE(decode_->stats().pages_ahead, 12U);
  put_and_claim("req", objects);
  EXPECT_EQ(moved_, 0U);
}

TEST_F(InPlaceTest, MoreThanIsVerifiedAtOnceIsCommittedInSlices) {
  const RequestHandle request = open("req", 16);  // Of 64 KiB: just the bound, and one more below.
  put_and_claim("req", write(request, 16));
  EXPECT_EQ(moved_, 0U);
  decode_->evict_all_retained();
  Options large = small_options(Role::kReceiver, 128, TransportChoice::kShm);
  decode_ = make_backend(large);
  const RequestHandle more = open("more", 20);
  put_and_claim("more", write(more, 20));
  EXPECT_EQ(moved_, 0U);
}

TEST_F(InPlaceTest, OverTcpTheSameRequestIsStaged) {
  decode_ = make(Role::kReceiver, TransportChoice::kTcp);
  prefill_ = make(Role::kSender, TransportChoice::kTcp);
  const RequestHandle request = open("req", 4);
  std::vector<MemoryObj> objects = write(request, 4);
  EXPECT_THAT(objects, ::testing::Each(::testing::Property(&MemoryObj::in_place, false)));
  put_and_claim("req", objects);
  EXPECT_EQ(moved_, 4U * (64U << 10U));
}

// The word that nothing is stored any more covers prefill's own stores, too.
TEST_F(InPlaceTest, TheFenceWaitsForTheLastObject) {
  std::vector<MemoryObj> objects;
  {
    const RequestHandle request = open("req", 2);
    objects = write(request, 2);
  }
  prefill_->close();
  ASSERT_TRUE(wait_until([&] { return decode_->stats().pages_quarantined > 0; }));
  {  // Enough happens meanwhile for a fence that doesn't wait.
    const auto other = make(Role::kSender, TransportChoice::kShm);
    const auto put = other->batched_submit_put_task(small_keys(50, 20), staged(*other, 50, 20),
                                                    transfer_to(*decode_, "other", 20));
    ASSERT_TRUE(put.ok()) << put.status();
    ASSERT_TRUE(put->wait(10s).ok());
  }
  EXPECT_GT(decode_->stats().pages_quarantined, 0U);
  fill(objects[0], 7);  // It is memory still, and nobody else's.
  objects.clear();
  EXPECT_TRUE(wait_until([&] { return decode_->stats().pages_quarantined == 0; }));
}

TEST_F(InPlaceTest, ALostReceiverFailsThePutAndLeavesTheMemory) {
  const RequestHandle request = open("req", 2);
  std::vector<MemoryObj> objects = write(request, 2);
  const TransferSpec to = transfer_to(*decode_, "req", 2);
  decode_.reset();
  ASSERT_TRUE(wait_until([&] { return prefill_->transports_in_use().empty(); }));
  fill(objects[1], 9);
  EXPECT_TRUE(holds(objects[1], 9));
  const auto put = prefill_->batched_submit_put_task(small_keys(0, 2), objects, to);
  const Status ended = put.ok() ? put->wait(10s) : put.status();
  EXPECT_FALSE(ended.ok());
}

TEST_F(InPlaceTest, ItIsNoPlaceToReadInto) {
  const RequestHandle request = open("req", 1);
  const std::vector<MemoryObj> objects = write(request, 1);
  const auto read = prefill_->batched_submit_read_task(small_keys(0, 1), objects,
                                                       transfer_to(*decode_, "reads", 1));
  EXPECT_EQ(read.status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace baton
