// A decoder that is stopped in the middle of a put: its prefiller does not wait for it for ever,
// and is served again when it goes on. Promises: P1, P5, P6.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "tests/support/backend_pair.h"
#include "tests/support/child.h"
#include "tests/support/waiting.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

constexpr std::uint32_t kPages = 256;
constexpr std::uint32_t kChunks = 150;
constexpr auto kLease = 1'500ms;
constexpr auto kHandshakeLimit = 2'000ms;
/// Noticed, sought again, given up; with room for a slow machine, and far below a put's own limit.
constexpr auto kSilentPutLimit = kLease * 5 / 4 + kHandshakeLimit + 6'000ms;

Options options(Role role, TransportChoice transport) {
  Options options = small_options(role, kPages, transport);
  options.pd_lease_ms = kLease;
  options.pd_drain_timeout_ms = 500ms;
  options.pd_handshake_timeout_ms = kHandshakeLimit;
  return options;
}

/// Stops itself when it verifies the first chunk. Then claims the request of the first chunk that
/// it is told, and says whether all is identical and everything came back.
int run_decoder(const Wire& wire, TransportChoice transport) {
  FaultInjection faults;
  faults.receiver.before_verify = [stopped = false](std::span<std::byte>) mutable {
    if (!std::exchange(stopped, true)) {
      raise(SIGSTOP);
    }
  };
  auto decode = make_backend(options(Role::kReceiver, transport), small_layout(), &faults);
  wire.send(decode->init_port());
  wire.send(decode->alloc_port());
  // Its bytes may all have come, and a complete request waits to be claimed: it ends here.
  const std::uint64_t first = *wire.receive();
  {
    const auto claim = decode->claim(std::to_string(first), small_keys(first, kChunks), 20s);
    bool identical = claim.ok();
    for (std::uint32_t i = 0; identical && i < kChunks; ++i) {
      identical = holds(claim->chunks()[i], first + i);
    }
    wire.send(identical ? 1 : 0);
  }
  static_cast<void>(decode->cancel_request("stopped"));
  wire.send(everything_comes_back(*decode) ? 1 : 0);
  static_cast<void>(wire.receive());
  return 0;
}

class StoppedReceiver : public ::testing::TestWithParam<TransportChoice> {};

INSTANTIATE_TEST_SUITE_P(Transports, StoppedReceiver,
                         ::testing::Values(TransportChoice::kShm, TransportChoice::kTcp,
                                           TransportChoice::kUcx),
                         [](const auto& param) {
                           return param.param == TransportChoice::kShm   ? "shm"
                                  : param.param == TransportChoice::kTcp ? "tcp"
                                                                         : "ucx";
                         });

TEST_P(StoppedReceiver, IsNotWaitedForForEverAndServesWhenItGoesOn) {
  if (GetParam() == TransportChoice::kUcx && !host_has_rdma()) {
    GTEST_SKIP() << kNoRdma;
  }
  Child decoder([](const Wire& wire) { return run_decoder(wire, GetParam()); });
  auto prefill = make_backend(options(Role::kSender, GetParam()));
  const auto init = static_cast<std::uint16_t>(*decoder.wire().receive());
  const auto alloc = static_cast<std::uint16_t>(*decoder.wire().receive());
  const auto put =
      prefill->batched_submit_put_task(small_keys(0, kChunks), staged(*prefill, 0, kChunks),
                                       transfer_to(init, alloc, "stopped", kChunks));
  ASSERT_TRUE(put.ok()) << put.status();
  int status = 0;
  ASSERT_EQ(waitpid(decoder.pid(), &status, WUNTRACED), decoder.pid());
  ASSERT_TRUE(WIFSTOPPED(status));

  const Status ended = put->wait(kSilentPutLimit);
  EXPECT_TRUE(put->done()) << "it waits for a decoder that is silent";
  EXPECT_FALSE(ended.ok());
  EXPECT_EQ(prefill->stats().pages_free, kPages) << "its staging";

  decoder.signal(SIGCONT);
  // The first ones may meet the news of the lost connection, and say so.
  std::uint64_t first = 0;
  Status served;
  for (int tries = 0; tries == 0 || (!served.ok() && tries < 5); ++tries) {
    first += 1'000;
    const auto next = prefill->batched_submit_put_task(
        small_keys(first, kChunks), staged(*prefill, first, kChunks),
        transfer_to(init, alloc, std::to_string(first), kChunks));
    ASSERT_TRUE(next.ok()) << next.status();
    served = next->wait(20s);
  }
  ASSERT_TRUE(served.ok()) << served;
  decoder.wire().send(first);
  EXPECT_EQ(decoder.wire().receive(), 1U) << "its bytes";
  EXPECT_EQ(decoder.wire().receive(), 1U) << "its pages";
}

}  // namespace
}  // namespace baton
