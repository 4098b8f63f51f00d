// Sender and receiver in processes of their own: every byte compared, and either side killed in the
// middle of a batch. Promises: P1, P2, P3, P5, P6.
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "tests/support/backend_pair.h"
#include "tests/support/child.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

constexpr std::uint32_t kPages = 1024;  // 64 MiB: many slices

/// Waits until the receiver has `pages` free ones, by its own events: each claim that times out
/// after a millisecond is a turn of its loop.
bool wait_for_free(PdBackend& receiver, std::uint64_t pages) {
  const auto give_up = std::chrono::steady_clock::now() + 20s;
  while (receiver.stats().pages_free != pages) {
    if (std::chrono::steady_clock::now() > give_up) {
      return false;
    }
    static_cast<void>(receiver.claim("nobody", small_keys(0, 1), 1ms));
    receiver.evict_all_retained();
  }
  return true;
}

class MultiprocessTest : public ::testing::TestWithParam<TransportChoice> {
 protected:
  static Options options(Role role) { return small_options(role, kPages, GetParam()); }

  /// A sender that puts `count` chunks as request `req_id` to the ports it is told.
  static int put_as_child(const Wire& wire, const std::string& req_id, std::uint64_t first,
                          std::uint32_t count) {
    auto prefill = make_backend(options(Role::kSender));
    const auto init = static_cast<std::uint16_t>(*wire.receive());
    const auto alloc = static_cast<std::uint16_t>(*wire.receive());
    std::vector<PutHandle> puts;
    const auto keys = small_keys(first, count);
    const auto objects = staged(*prefill, first, count);
    constexpr std::uint32_t kPuts = 4;
    for (std::uint32_t i = 0; i < kPuts; ++i) {
      const std::uint32_t from = count * i / kPuts;
      const std::uint32_t chunks = count * (i + 1) / kPuts - from;
      auto put = prefill->batched_submit_put_task(
          std::span(keys).subspan(from, chunks), std::span(objects).subspan(from, chunks),
          transfer_to(init, alloc, req_id, count, i + 1 == kPuts));
      if (!put.ok()) {
        return 2;
      }
      puts.push_back(*put);
    }
    for (const PutHandle& put : puts) {
      if (!put.wait(30s).ok()) {
        return 1;
      }
    }
    return 0;
  }

  static void tell_ports(const Child& child, const PdBackend& receiver) {
    child.wire().send(receiver.init_port());
    child.wire().send(receiver.alloc_port());
  }
};

INSTANTIATE_TEST_SUITE_P(Transports, MultiprocessTest,
                         ::testing::Values(TransportChoice::kShm, TransportChoice::kTcp),
                         [](const auto& param) {
                           return param.param == TransportChoice::kShm ? "shm" : "tcp";
                         });

TEST_P(MultiprocessTest, EveryByteArrives) {
  Child a([](const Wire& wire) { return put_as_child(wire, "a", 0, 400); });
  Child b([](const Wire& wire) { return put_as_child(wire, "b", 200, 400); });
  auto decode = make_backend(options(Role::kReceiver));
  tell_ports(a, *decode);
  tell_ports(b, *decode);
  for (const auto& [req_id, first] : {std::pair("a", 0U), std::pair("b", 200U)}) {
    const auto claim = decode->claim(req_id, small_keys(first, 400), 30s);
    ASSERT_TRUE(claim.ok()) << claim.status();
    for (std::uint64_t i = 0; i < 400; ++i) {
      ASSERT_TRUE(holds(claim->chunks()[i], first + i)) << req_id << " chunk " << i;
    }
  }
  EXPECT_EQ(a.join(), 0);
  EXPECT_EQ(b.join(), 0);
  EXPECT_TRUE(wait_for_free(*decode, kPages));
}

TEST_P(MultiprocessTest, ASenderKilledInMidBatchCostsNoPageAndNobodyElse) {
  Child victim([](const Wire& wire) { return put_as_child(wire, "victim", 0, 800); });
  Child other([](const Wire& wire) { return put_as_child(wire, "other", 5000, 100); });
  FaultInjection faults;
  std::atomic<bool> killed{false};
  faults.receiver.before_verify = [&](std::span<std::byte>) {
    if (!killed.exchange(true)) {
      victim.signal(SIGKILL);  // The first slice has arrived, later ones are being written.
    }
  };
  auto decode = make_backend(options(Role::kReceiver), small_layout(), &faults);
  tell_ports(victim, *decode);
  const auto claim = decode->claim("victim", small_keys(0, 800), 20s);
  EXPECT_TRUE(absl::IsAborted(claim.status())) << claim.status();
  EXPECT_EQ(victim.join(), -SIGKILL);

  tell_ports(other, *decode);
  {
    const auto others = decode->claim("other", small_keys(5000, 100), 20s);
    ASSERT_TRUE(others.ok()) << others.status();
    EXPECT_TRUE(holds(others->chunks()[99], 5099));
  }
  EXPECT_EQ(other.join(), 0);
  EXPECT_TRUE(wait_for_free(*decode, kPages)) << "pages of a dead sender are fenced and come back";
}

TEST_P(MultiprocessTest, AReceiverKilledInMidBatchFailsThePutAndNobodyElse) {
  Child victim([](const Wire& wire) {
    FaultInjection faults;
    faults.receiver.before_verify = [](std::span<std::byte>) { raise(SIGKILL); };
    auto decode = make_backend(options(Role::kReceiver), small_layout(), &faults);
    wire.send(decode->init_port());
    wire.send(decode->alloc_port());
    static_cast<void>(decode->claim("never", small_keys(0, 1), 60s));
    return 0;
  });
  auto prefill = make_backend(options(Role::kSender));
  auto healthy = make_backend(options(Role::kReceiver));
  const auto init = static_cast<std::uint16_t>(*victim.wire().receive());
  const auto alloc = static_cast<std::uint16_t>(*victim.wire().receive());
  const auto doomed = prefill->batched_submit_put_task(small_keys(0, 500), staged(*prefill, 0, 500),
                                                       transfer_to(init, alloc, "doomed", 500));
  const auto fine = prefill->batched_submit_put_task(
      small_keys(900, 100), staged(*prefill, 900, 100), transfer_to(*healthy, "fine", 100));
  ASSERT_TRUE(doomed.ok() && fine.ok());
  const Status ended = doomed->wait(20s);
  EXPECT_TRUE(absl::IsUnavailable(ended)) << ended;
  EXPECT_TRUE(fine->wait(20s).ok());
  EXPECT_EQ(victim.join(), -SIGKILL);
  EXPECT_EQ(prefill->stats().pages_free, kPages);
  const auto claim = healthy->claim("fine", small_keys(900, 100), 10s);
  ASSERT_TRUE(claim.ok()) << claim.status();
  EXPECT_TRUE(holds(claim->chunks()[0], 900));
}

}  // namespace
}  // namespace baton
