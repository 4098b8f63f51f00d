// A prefiller of two ranks hands off to a decoder of two, over the real transports and ZeroMQ.
// Promises: P2, P4, P5, P6.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/tp_ranks.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary
using ::testing::HasSubstr;

constexpr std::uint64_t kAttempt = 0x5EED;
constexpr std::uint32_t kPages = 4;
constexpr std::array kRanks{0U, 1U};

class TpGroupTest : public ::testing::TestWithParam<TransportChoice> {
 protected:
  using Opening = std::future<StatusOr<RequestHandle>>;

  Opening open(std::uint32_t rank, const std::string& req_id, std::uint64_t first,
               std::uint32_t count) {
    auto promise = std::make_shared<std::promise<StatusOr<RequestHandle>>>();
    pairs_.sender(rank).open_request_async(
        {pairs_.transfer(req_id, kAttempt, count), rank_keys(rank, first, count), 30s},
        [promise](StatusOr<RequestHandle> opened) { promise->set_value(std::move(opened)); });
    return promise->get_future();
  }
  /// Chunks first … first + count - 1 of a request of three, and waits for the end.
  Status put(std::uint32_t rank, const RequestHandle& request, std::uint64_t first,
             std::uint32_t count, bool is_last) {
    auto objects = request.batched_allocate(small_chunk(), count);
    if (!objects.ok()) {
      return objects.status();
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      fill((*objects)[i], seed(rank, first + i));
    }
    const auto put = pairs_.sender(rank).batched_submit_put_task(
        rank_keys(rank, first, count), *objects,
        pairs_.transfer(request.req_id(), kAttempt, 3, is_last));
    return put.ok() ? put->wait(20s) : put.status();
  }
  Status check_claim(std::uint32_t rank, const std::string& req_id, std::uint64_t first) {
    const auto claim = pairs_.receiver(rank).claim(req_id, rank_keys(rank, first, 3), 20s);
    if (!claim.ok()) {
      return claim.status();
    }
    for (std::uint32_t i = 0; i < 3; ++i) {
      if (!holds(claim->chunks()[i], seed(rank, first + i))) {
        return absl::DataLossError(req_id);
      }
    }
    return absl::OkStatus();
  }
  /// The bytes of a chunk differ from rank to rank.
  static std::uint64_t seed(std::uint32_t rank, std::uint64_t number) {
    return 1'000'000 * (rank + 1) + number;
  }
  void expect_all_free() {
    for (const std::uint32_t rank : kRanks) {
      pairs_.receiver(rank).evict_all_retained();
      const BackendStats stats = pairs_.receiver(rank).stats();
      EXPECT_EQ(stats.pages_free, kPages) << "rank " << rank;
      EXPECT_EQ(stats.pages_reserved, 0U) << "rank " << rank;
      EXPECT_EQ(stats.requests, 0U) << "rank " << rank;
      EXPECT_EQ(pairs_.sender(rank).stats().pages_free, kPages) << "rank " << rank;
    }
  }

  ProxyGate gate_;
  RankPairs pairs_{GetParam(), kPages, gate_.port()};
};

INSTANTIATE_TEST_SUITE_P(Transports, TpGroupTest,
                         ::testing::Values(TransportChoice::kShm, TransportChoice::kTcp),
                         [](const auto& param) {
                           return param.param == TransportChoice::kShm ? "shm" : "tcp";
                         });

TEST_P(TpGroupTest, TheGateReleasesWhenBothRanksHaveSpoken) {
  auto released = gate_.expect("req", 2);
  auto probed = gate_.expect("probe", 1);
  {
    Opening opening0 = open(0, "req", 0, 3);
    Opening opening1 = open(1, "req", 0, 3);
    const auto request0 = opening0.get();
    const auto request1 = opening1.get();
    ASSERT_TRUE(request0.ok()) << request0.status();
    ASSERT_TRUE(request1.ok()) << request1.status();
    Status sent = put(0, *request0, 0, 3, true);
    ASSERT_TRUE(sent.ok()) << sent;

    // Rank 0's word about `req` goes before its word about a put that needs no other rank.
    const auto probe = pairs_.sender(0).batched_submit_put_task(
        rank_keys(0, 9, 1), staged(pairs_.sender(0), 9, 1), pairs_.transfer("probe", kAttempt, 1));
    ASSERT_TRUE(probe.ok()) << probe.status();
    ASSERT_TRUE(probed.get().ok());
    EXPECT_EQ(released.wait_for(0s), std::future_status::timeout) << "rank 1 has not spoken";

    sent = put(1, *request1, 0, 3, true);
    ASSERT_TRUE(sent.ok()) << sent;
  }
  const Status heard = released.get();
  EXPECT_TRUE(heard.ok()) << heard;
  for (const std::uint32_t rank : kRanks) {
    const Status claimed = check_claim(rank, "req", 0);
    EXPECT_TRUE(claimed.ok()) << "rank " << rank << ": " << claimed;
  }
  EXPECT_TRUE(pairs_.receiver(0).claim("probe", rank_keys(0, 9, 1), 20s).ok());
  expect_all_free();
}

TEST_P(TpGroupTest, ACancelOnOneRankEndsTheHoldsOfTheOtherAndTheGateHears) {
  auto released = gate_.expect("req", 2);
  {
    Opening opening0 = open(0, "req", 0, 3);
    Opening opening1 = open(1, "req", 0, 3);
    const auto request0 = opening0.get();
    const auto request1 = opening1.get();
    ASSERT_TRUE(request0.ok()) << request0.status();
    ASSERT_TRUE(request1.ok()) << request1.status();
    const Status sent = put(0, *request0, 0, 2, false);
    ASSERT_TRUE(sent.ok()) << sent;
    ASSERT_EQ(pairs_.receiver(0).stats().pages_held, 2U);
    std::promise<Status> claimed;
    pairs_.receiver(0).claim_async(
        "req", rank_keys(0, 0, 3), 20s,
        [&](const StatusOr<Claim>& claim) { claimed.set_value(claim.status()); });

    ASSERT_TRUE(pairs_.sender(1).cancel_request("req").ok());

    const Status ended = claimed.get_future().get();
    EXPECT_TRUE(absl::IsAborted(ended)) << ended;
    EXPECT_THAT(std::string(ended.message()), HasSubstr("cancelled by the caller"));
    EXPECT_EQ(pairs_.receiver(0).stats().pages_held, 0U);
    EXPECT_EQ(pairs_.receiver(0).stats().pages_reserved, 0U);
  }
  const Status heard = released.get();
  EXPECT_TRUE(absl::IsAborted(heard)) << heard;
  EXPECT_THAT(std::string(heard.message()), HasSubstr("failed: "));
  expect_all_free();
}

TEST_P(TpGroupTest, RequestsOpenedInOppositeOrdersSucceedOneAfterTheOther) {
  std::array<Opening, 2> a;
  std::array<Opening, 2> b;
  a[0] = open(0, "a", 0, 3);
  b[1] = open(1, "b", 10, 3);
  b[0] = open(0, "b", 10, 3);
  a[1] = open(1, "a", 0, 3);
  const auto hand_off = [this](std::array<Opening, 2> openings, const std::string& req_id,
                               std::uint64_t first) -> Status {
    for (const std::uint32_t rank : kRanks) {
      const auto request = openings[rank].get();
      if (!request.ok()) {
        return request.status();
      }
      if (Status sent = put(rank, *request, first, 3, true); !sent.ok()) {
        return sent;
      }
    }
    for (const std::uint32_t rank : kRanks) {
      if (Status claimed = check_claim(rank, req_id, first); !claimed.ok()) {
        return claimed;
      }
    }
    return absl::OkStatus();
  };
  auto ended_a = std::async(std::launch::async, hand_off, std::move(a), "a", 0U);
  auto ended_b = std::async(std::launch::async, hand_off, std::move(b), "b", 10U);
  for (auto* ended : {&ended_a, &ended_b}) {
    const Status status = ended->get();
    EXPECT_TRUE(status.ok()) << status;
  }
  expect_all_free();
}

TEST(TpGroupAttemptTest, ZeroIsRefused) {
  const auto sender =
      make_backend(small_options(Role::kSender, 2, TransportChoice::kTcp), rank_layout(1));
  TransferSpec to = transfer_to(1, 1, "req", 1);
  to.receiver_init_port.push_back(2);
  to.receiver_alloc_port.push_back(2);
  const Status opened = sender->open_request({to, rank_keys(1, 0, 1), 1s}).status();
  const Status put =
      sender->batched_submit_put_task(rank_keys(1, 0, 1), staged(*sender, 0, 1), to).status();
  for (const Status& refused : {opened, put}) {
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()),
                HasSubstr("attempt is 0; the ranks of a TP group find each other by it: make it "
                          "random, the same on all ranks"));
  }
}

}  // namespace
}  // namespace baton
