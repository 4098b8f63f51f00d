// The cables of RDMA devices are pulled in the middle of a put: for a moment, for longer than puts
// may stand still, for good; and one of two rails. Promises: P1, P2, P3, P5, P6.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>

#include "tests/support/backend_pair.h"
#include "tests/support/rdma_devices.h"
#include "tests/support/waiting.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

constexpr std::uint32_t kPages = 256;
constexpr std::uint32_t kChunks = 150;
constexpr std::uint32_t kCutAt = 70;  // chunks are on their way
constexpr auto kStallLimit = 6'000ms;
/// A put whose path is dead ends by the stall limit; the rest is for an emulated machine.
constexpr auto kPutEnds = kStallLimit + 20'000ms;
constexpr auto kForGood = 0ms;

/// One prefiller and one decoder in this process, with one device, or two, each.
class RdmaLinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    devices_ = rdma_devices_for_tests();
    if (!host_has_rdma() || devices_.size() < 4) {
      GTEST_SKIP() << kNoRdma;
    }
  }
  void TearDown() override {
    if (!cut_device_.empty()) {
      set_link(cut_device_, true);
    }
  }

  void start(std::vector<std::string> senders, std::vector<std::string> receivers) {
    FaultInjection faults;
    faults.sender.drop_write = [this](std::string_view) {
      if (cut_in_ > 0 && --cut_in_ == 0) {
        EXPECT_TRUE(set_link(cut_device_, false));
        cut_.release();
      }
      return false;
    };
    decode_ = make_backend(options(Role::kReceiver, std::move(receivers)));
    prefill_ = make_backend(options(Role::kSender, std::move(senders)), small_layout(), &faults);
  }

  PutHandle put(std::uint64_t first) {
    return *prefill_->batched_submit_put_task(
        small_keys(first, kChunks), staged(*prefill_, first, kChunks),
        transfer_to(*decode_, std::to_string(first), kChunks));
  }

  /// Puts, and pulls the device's cable in the middle for as long as said.
  void put_and_cut(const std::string& device, std::chrono::milliseconds duration) {
    ASSERT_TRUE(put(kBefore).wait(kPutEnds).ok());
    ASSERT_TRUE(arrived(kBefore));
    cut_device_ = device;
    cut_in_ = kCutAt;
    const PutHandle under_fault = put(kUnderFault);
    ASSERT_TRUE(cut_.try_acquire_for(20s));
    const auto cut_at = std::chrono::steady_clock::now();
    if (duration != kForGood) {
      std::this_thread::sleep_for(duration);  // The fault itself lasts so long.
      ASSERT_TRUE(set_link(device, true));
    }
    const Status ended = under_fault.wait(kPutEnds);
    const auto ended_after = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - cut_at);
    ASSERT_TRUE(under_fault.done()) << "the put hangs";
    std::cout << fmt::format("note: after {} ms the put ended with {}\n", ended_after.count(),
                             ended.ToString());
    if (ended.ok()) {
      EXPECT_TRUE(arrived(kUnderFault)) << "the put was called done";
    } else {
      EXPECT_EQ(ended.code(), StatusCode::kUnavailable) << ended;
      const auto claim =
          decode_->claim(std::to_string(kUnderFault), small_keys(kUnderFault, kChunks), kPutEnds);
      EXPECT_FALSE(claim.ok());
      EXPECT_FALSE(absl::IsDeadlineExceeded(claim.status())) << "the decoder still waits for it";
    }
  }

  bool arrived(std::uint64_t first) {
    const auto claim = decode_->claim(std::to_string(first), small_keys(first, kChunks), 20s);
    bool identical = claim.ok();
    for (std::uint32_t i = 0; identical && i < kChunks; ++i) {
      identical = holds(claim->chunks()[i], first + i);
    }
    return identical;
  }

  void expect_all_back() {
    EXPECT_TRUE(everything_comes_back(*decode_)) << "the decoder has lost pages";
    EXPECT_TRUE(everything_comes_back(*prefill_)) << "the prefiller has lost pages";
  }

  /// The first ones may still meet the news of the lost connection, or a device that wakes up.
  void expect_new_puts_succeed() {
    std::uint64_t first = kUnderFault;
    Status ended;
    for (int tries = 0; tries == 0 || (!ended.ok() && tries < 8); ++tries) {
      first += 1'000;
      ended = put(first).wait(kPutEnds);
    }
    ASSERT_TRUE(ended.ok()) << ended;
    EXPECT_TRUE(arrived(first));
  }

  static constexpr std::uint64_t kBefore = 1'000;
  static constexpr std::uint64_t kUnderFault = 2'000;

  std::vector<std::string> devices_;
  std::unique_ptr<PdBackend> decode_;
  std::unique_ptr<PdBackend> prefill_;

 private:
  static Options options(Role role, std::vector<std::string> rails) {
    Options options = small_options(role, kPages, TransportChoice::kUcx);
    options.pd_ucx_rails = std::move(rails);
    options.pd_ucx_stall_timeout_ms = kStallLimit;
    options.pd_put_timeout_ms = 60'000ms;
    options.pd_claim_timeout_ms = 60'000ms;
    return options;
  }

  std::string cut_device_;
  std::atomic<std::uint32_t> cut_in_{0};
  std::binary_semaphore cut_{0};
};

TEST_F(RdmaLinkTest, TheReceiversLinkDownForAMoment) {
  start({devices_[0]}, {devices_[1]});
  ASSERT_NO_FATAL_FAILURE(put_and_cut(devices_[1], 3s));
  expect_new_puts_succeed();
  expect_all_back();
}

TEST_F(RdmaLinkTest, TheReceiversLinkDownForLong) {
  start({devices_[0]}, {devices_[1]});
  ASSERT_NO_FATAL_FAILURE(put_and_cut(devices_[1], 2 * kStallLimit));
  expect_new_puts_succeed();
  expect_all_back();
}

TEST_F(RdmaLinkTest, TheSendersLinkDownForAMoment) {
  start({devices_[0]}, {devices_[1]});
  ASSERT_NO_FATAL_FAILURE(put_and_cut(devices_[0], 3s));
  expect_new_puts_succeed();
  expect_all_back();
}

TEST_F(RdmaLinkTest, TheSendersLinkDownForLong) {
  start({devices_[0]}, {devices_[1]});
  ASSERT_NO_FATAL_FAILURE(put_and_cut(devices_[0], 2 * kStallLimit));
  expect_new_puts_succeed();
  expect_all_back();
}

TEST_F(RdmaLinkTest, ALinkDownForGood) {
  start({devices_[0]}, {devices_[1]});
  ASSERT_NO_FATAL_FAILURE(put_and_cut(devices_[1], kForGood));
  expect_all_back();
}

TEST_F(RdmaLinkTest, APutUsesBothRails) {
  start({devices_[0], devices_[2]}, {devices_[1], devices_[3]});
  const std::uint64_t first_before = sent_packets(devices_[0]);
  const std::uint64_t second_before = sent_packets(devices_[2]);
  ASSERT_TRUE(put(kBefore).wait(kPutEnds).ok());
  EXPECT_TRUE(arrived(kBefore));
  // 9.4 MiB, in packets of at most 4 KiB: each rail carries a third or more.
  constexpr std::uint64_t kThird = std::uint64_t{kChunks} * (64U << 10U) / (4U << 10U) / 3;
  EXPECT_GE(sent_packets(devices_[0]) - first_before, kThird);
  EXPECT_GE(sent_packets(devices_[2]) - second_before, kThird);
}

TEST_F(RdmaLinkTest, OneOfTwoRailsDies) {
  start({devices_[0], devices_[2]}, {devices_[1], devices_[3]});
  ASSERT_NO_FATAL_FAILURE(put_and_cut(devices_[2], kForGood));
  expect_all_back();
  ASSERT_TRUE(set_link(devices_[2], true));
  expect_new_puts_succeed();
}

}  // namespace
}  // namespace baton
