// A prefiller that is stopped in the middle of a put, for longer than it is trusted: what it writes
// when it goes on reaches no page that was granted again. Promises: P3, P5, P6.
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
constexpr std::uint32_t kStoppedChunks = 200;
/// The first of the third slice of 64: the first has been written, the second is being written.
constexpr std::uint32_t kStopAt = 129;
/// Fits beside what the stopped one holds.
constexpr std::uint32_t kFewChunks = 32;

Options options(Role role, TransportChoice transport) {
  Options options = small_options(role, kPages, transport);
  options.pd_lease_ms = 1'500ms;
  options.pd_drain_timeout_ms = 500ms;
  return options;
}

struct Ports {
  std::uint16_t init;
  std::uint16_t alloc;
};

Ports receive_ports(const Wire& wire) {
  const auto init = static_cast<std::uint16_t>(*wire.receive());
  return {init, static_cast<std::uint16_t>(*wire.receive())};
}

/// Puts the request "stopped", stops itself on the way, and says how it ended.
int run_stopped(const Wire& wire, TransportChoice transport) {
  FaultInjection faults;
  faults.sender.drop_write = [calls = 0U](std::string_view) mutable {
    if (++calls == kStopAt) {
      raise(SIGSTOP);
    }
    return false;
  };
  auto prefill = make_backend(options(Role::kSender, transport), small_layout(), &faults);
  const Ports ports = receive_ports(wire);
  const auto put = prefill->batched_submit_put_task(
      small_keys(0, kStoppedChunks), staged(*prefill, 0, kStoppedChunks),
      transfer_to(ports.init, ports.alloc, "stopped", kStoppedChunks));
  wire.send(static_cast<std::uint64_t>(put.ok() ? put->wait(60s).code() : put.status().code()));
  wire.send(prefill->stats().pages_free);
  static_cast<void>(wire.receive());
  return 0;
}

/// Puts what it is told, each as a request of its own: first chunk and count.
int run_other(const Wire& wire, TransportChoice transport) {
  auto prefill = make_backend(options(Role::kSender, transport));
  const Ports ports = receive_ports(wire);
  while (const auto first = wire.receive()) {
    const auto count = static_cast<std::uint32_t>(*wire.receive());
    const auto to = transfer_to(ports.init, ports.alloc, std::to_string(*first), count);
    const auto handle = prefill->open_request({to, small_keys(*first, count), {}});
    if (!handle.ok()) {
      wire.send(static_cast<std::uint64_t>(handle.status().code()));
      continue;
    }
    auto objects = *handle->batched_allocate(small_chunk(), count);
    for (std::uint32_t i = 0; i < count; ++i) {
      fill(objects[i], *first + i);
    }
    const auto put = prefill->batched_submit_put_task(small_keys(*first, count), objects, to);
    objects.clear();
    wire.send(static_cast<std::uint64_t>(put.ok() ? put->wait(60s).code() : put.status().code()));
  }
  return 0;
}

class StoppedSenderTest : public ::testing::Test {
 protected:
  explicit StoppedSenderTest(TransportChoice transport)
      : stopped_([transport](const Wire& wire) { return run_stopped(wire, transport); }),
        other_([transport](const Wire& wire) { return run_other(wire, transport); }),
        decode_(make_backend(options(Role::kReceiver, transport))) {
    for (const Child* child : {&stopped_, &other_}) {
      child->wire().send(decode_->init_port());
      child->wire().send(decode_->alloc_port());
    }
  }

  /// The prefiller has stopped in mid-put, and the decoder no longer trusts its silence.
  void await_stop_and_lease() {
    int status = 0;
    ASSERT_EQ(waitpid(stopped_.pid(), &status, WUNTRACED), stopped_.pid());
    ASSERT_TRUE(WIFSTOPPED(status));
    EXPECT_GT(decode_->stats().pages_granted, 0U) << "it stopped in mid-put";
    const auto claim = decode_->claim("stopped", small_keys(0, kStoppedChunks), 20s);
    ASSERT_TRUE(absl::IsAborted(claim.status())) << claim.status();
  }

  void order(std::uint64_t first, std::uint32_t count) {
    other_.wire().send(first);
    other_.wire().send(count);
  }
  /// The claim of what was ordered, once it is there.
  StatusOr<Claim> handed_over(std::uint64_t first, std::uint32_t count) {
    EXPECT_EQ(other_.wire().receive(), 0U) << "the other's put failed";
    return decode_->claim(std::to_string(first), small_keys(first, count), 20s);
  }
  static bool identical(const Claim& claim, std::uint64_t first) {
    for (std::uint64_t i = 0; i < claim.chunks().size(); ++i) {
      if (!holds(claim.chunks()[i], first + i)) {
        return false;
      }
    }
    return true;
  }

  void expect_stopped_put_failed_and_gave_back() {
    const auto code = stopped_.wire().receive();  // Its own clock or the decoder's, who is first.
    ASSERT_TRUE(code.has_value());
    EXPECT_NE(*code, 0U) << "its put was reported as done";
    EXPECT_EQ(stopped_.wire().receive(), kPages) << "its staging";
  }

  Child stopped_;
  Child other_;
  std::unique_ptr<PdBackend> decode_;
};

class FencedSender : public StoppedSenderTest {
 protected:
  using StoppedSenderTest::StoppedSenderTest;

  void loses_its_pages_at_once_and_its_late_writes_reach_none();
};

class StoppedTcpSender : public FencedSender {
 protected:
  StoppedTcpSender() : FencedSender(TransportChoice::kTcp) {}
};

class StoppedUcxSender : public FencedSender {
 protected:
  StoppedUcxSender() : FencedSender(TransportChoice::kUcx) {}
};

class StoppedShmSender : public StoppedSenderTest {
 protected:
  StoppedShmSender() : StoppedSenderTest(TransportChoice::kShm) {}

  /// The other one's request for every page waits behind the stopped one's.
  void order_whole_pool_in_vain() {
    const std::uint64_t quarantined = decode_->stats().pages_quarantined;
    EXPECT_GT(quarantined, 0U);
    order(1'000, kFewChunks);
    {
      const auto few = handed_over(1'000, kFewChunks);
      ASSERT_TRUE(few.ok()) << few.status();
      EXPECT_TRUE(identical(*few, 1'000)) << "the others are served as before";
    }
    EXPECT_EQ(decode_->stats().pages_quarantined, quarantined) << "nothing proves it harmless";
    order(2'000, kPages);
    EXPECT_TRUE(wait_until([&] { return decode_->stats().requests_waiting == 1; }));
  }
  void expect_whole_pool() {
    const auto all = handed_over(2'000, kPages);
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_TRUE(identical(*all, 2'000)) << "a late write reached a page that was granted again";
  }
};

void FencedSender::loses_its_pages_at_once_and_its_late_writes_reach_none() {
  ASSERT_NO_FATAL_FAILURE(await_stop_and_lease());
  order(2'000, kPages);  // Every page: what the stopped one was granted is granted again.
  {
    const auto all = handed_over(2'000, kPages);
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_TRUE(identical(*all, 2'000));
    stopped_.signal(SIGCONT);
    expect_stopped_put_failed_and_gave_back();
    EXPECT_TRUE(identical(*all, 2'000)) << "a late write reached a page that was granted again";
  }
  EXPECT_TRUE(everything_comes_back(*decode_));
}

TEST_F(StoppedTcpSender, LosesItsPagesAtOnceAndItsLateWritesReachNone) {
  loses_its_pages_at_once_and_its_late_writes_reach_none();
}

TEST_F(StoppedUcxSender, LosesItsPagesAtOnceAndItsLateWritesReachNone) {
  if (!host_has_rdma()) {
    GTEST_SKIP() << kNoRdma;
  }
  loses_its_pages_at_once_and_its_late_writes_reach_none();
}

TEST_F(StoppedShmSender, KeepsItsPagesUntilItGoesOn) {
  ASSERT_NO_FATAL_FAILURE(await_stop_and_lease());
  ASSERT_NO_FATAL_FAILURE(order_whole_pool_in_vain());
  stopped_.signal(SIGCONT);
  expect_stopped_put_failed_and_gave_back();
  expect_whole_pool();
  EXPECT_TRUE(everything_comes_back(*decode_));
}

TEST_F(StoppedShmSender, KeepsItsPagesUntilItIsKilled) {
  ASSERT_NO_FATAL_FAILURE(await_stop_and_lease());
  ASSERT_NO_FATAL_FAILURE(order_whole_pool_in_vain());
  stopped_.signal(SIGKILL);
  expect_whole_pool();
  EXPECT_TRUE(everything_comes_back(*decode_));
}

}  // namespace
}  // namespace baton
