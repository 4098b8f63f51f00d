// A decoder and a prefiller on two hosts, and the network between them fails: for a moment, for
// longer than silence is trusted, for good, or one way. Over tcp. Promises: P1, P2, P3, P5, P6.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>

#include "tests/support/backend_pair.h"
#include "tests/support/child.h"
#include "tests/support/two_hosts.h"
#include "tests/support/waiting.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

constexpr std::uint32_t kPages = 256;
constexpr std::uint32_t kChunks = 150;    // three slices
constexpr std::uint32_t kReachedAt = 70;  // in the second
constexpr std::uint16_t kInitPort = 7001;
constexpr std::uint16_t kAllocPort = 7002;
constexpr std::uint16_t kDataPort = 7003;
constexpr const char* kToAlloc = "tcp dport 7002";
constexpr const char* kFromAlloc = "tcp sport 7002";
constexpr auto kLease = 1'500ms;
/// Longer than anything that a lease and a handshake can end.
constexpr auto kPutLimit = 20'000ms;
/// For a slow machine; with a lease, still shorter than kPutLimit and the like.
constexpr auto kSlack = 4'000ms;
constexpr auto kHandshakeLimit = 2'000ms;
constexpr auto kDrainLimit = 500ms;
/// How long a put lives on when the other side falls silent: it is noticed, sought again, drained.
constexpr auto kSilentPutLimit = kLease * 5 / 4 + kHandshakeLimit + kDrainLimit + kSlack;

/// What the driver orders, with a number. Each but the first two is answered, by 0 if all is well.
enum Order : std::uint64_t {
  kGoOn,       ///< on from kReached
  kSubmit,     ///< prefiller: put chunks from that number
  kArm,        ///< the next put stops at a chunk that is written (prefiller), verified (decoder)
  kAwaitEnd,   ///< prefiller: the put's status, or kHangs
  kAwaitPeer,  ///< the other side is known (decoder), connected (prefiller)
  kClaim,      ///< decoder: what became of the request of that first chunk
  kGiveBack,   ///< is everything free within that many ms?
  kReached,    ///< a host's word: it has stopped there
};
enum Claimed : std::uint64_t { kIdentical, kFailed, kUnknown, kMismatched };
constexpr std::uint64_t kHangs = 1'000;

Options options(Role role) {
  Options options = small_options(role, kPages, TransportChoice::kTcp);
  options.pd_lease_ms = kLease;
  options.pd_drain_timeout_ms = kDrainLimit;
  options.pd_handshake_timeout_ms = kHandshakeLimit;
  options.pd_put_timeout_ms = kPutLimit;
  options.pd_claim_timeout_ms = kPutLimit;
  options.pd_claim_ttl_ms = 60'000ms;
  if (role == Role::kReceiver) {
    options.pd_peer_host = TwoHosts::kSecondAddress;
    options.pd_peer_init_port = {kInitPort};
    options.pd_peer_alloc_port = {kAllocPort};
    options.pd_peer_data_port = {kDataPort};
  }
  return options;
}

/// Stops the progress thread once, until the driver has done what it wants to.
class Turnstile {
 public:
  explicit Turnstile(const Wire& driver) : driver_(driver) {}
  void arm(std::uint32_t pass) { left_ = pass + 1; }
  void pass() {
    if (left_ > 0 && --left_ == 0) {
      driver_.send(kReached);
      go_on_.acquire();
    }
  }
  void go_on() { go_on_.release(); }

 private:
  const Wire& driver_;
  std::atomic<std::uint32_t> left_{0};
  std::binary_semaphore go_on_{0};
};

int run_prefiller(const Wire& driver) {
  become_host();
  driver.send(0);
  static_cast<void>(driver.receive());  // The cable is there.
  Turnstile turnstile(driver);
  FaultInjection faults;
  faults.sender.drop_write = [&](std::string_view) {
    turnstile.pass();
    return false;
  };
  auto prefill = make_backend(options(Role::kSender), small_layout(), &faults);
  PutHandle put;
  while (const auto order = driver.receive()) {
    const std::uint64_t value = *driver.receive();
    if (*order == kGoOn) {
      turnstile.go_on();
    } else if (*order == kArm) {
      turnstile.arm(kReachedAt);
      driver.send(0);
    } else if (*order == kSubmit) {
      TransferSpec to = transfer_to(kInitPort, kAllocPort, std::to_string(value), kChunks);
      to.receiver_host = TwoHosts::kSecondAddress;
      put = *prefill->batched_submit_put_task(small_keys(value, kChunks),
                                              staged(*prefill, value, kChunks), to);
    } else if (*order == kAwaitPeer) {
      driver.send(wait_until([&] { return !prefill->transports_in_use().empty(); }) ? 0 : 1);
    } else if (*order == kAwaitEnd) {
      const Status ended = put.wait(kSilentPutLimit);
      driver.send(put.done() ? static_cast<std::uint64_t>(ended.code()) : kHangs);
    } else {
      driver.send(everything_comes_back(*prefill, std::chrono::milliseconds(value)) ? 0 : 1);
    }
  }
  return 0;
}

/// Waits until the request is complete or has ended; for one that it never heard of, in vain.
Claimed claim(PdBackend& decode, std::uint64_t first) {
  const auto claim =
      decode.claim(std::to_string(first), small_keys(first, kChunks), kLease * 5 / 4 + kSlack);
  if (!claim.ok()) {
    return absl::IsDeadlineExceeded(claim.status()) ? kUnknown : kFailed;
  }
  for (std::uint32_t i = 0; i < kChunks; ++i) {
    if (!holds(claim->chunks()[i], first + i)) {
      return kMismatched;
    }
  }
  return kIdentical;
}

int run_decoder(const Wire& driver) {
  become_host();
  driver.send(0);
  static_cast<void>(driver.receive());
  Turnstile turnstile(driver);
  FaultInjection faults;
  faults.receiver.before_verify = [&](std::span<std::byte>) { turnstile.pass(); };
  auto decode = make_backend(options(Role::kReceiver), small_layout(), &faults);
  driver.send(0);
  while (const auto order = driver.receive()) {
    const std::uint64_t value = *driver.receive();
    if (*order == kGoOn) {
      turnstile.go_on();
    } else if (*order == kArm) {
      turnstile.arm(kReachedAt);
      driver.send(0);
    } else if (*order == kAwaitPeer) {
      driver.send(wait_until([&] { return decode->stats().peers == 1; }) ? 0 : 1);
    } else if (*order == kClaim) {
      driver.send(claim(*decode, value));
    } else {
      driver.send(everything_comes_back(*decode, std::chrono::milliseconds(value)) ? 0 : 1);
    }
  }
  return 0;
}

enum class Moment : std::uint8_t { kHandshake, kAllocation, kWrite, kCommit };
enum class Fault : std::uint8_t {
  kLinkDown,
  kLossToDecoder,
  kLossToPrefiller,
  kControlLossToDecoder,  ///< of the alloc port's alone: bytes and acknowledgements of data pass
  kControlLossToPrefiller,
};

struct Case {
  Moment moment;
  Fault fault;
  std::chrono::milliseconds duration;  ///< 0: for good
  const char* name;
};

/// One prefiller, one decoder, one put that meets the fault. The driver of one case.
class CutNetwork {
 public:
  explicit CutNetwork(const Case& test_case)
      : case_(test_case), prefiller_(run_prefiller), decoder_(run_decoder), hosts_(lay_cable()) {
    decoder_.wire().send(0);
    EXPECT_EQ(decoder_.wire().receive(), 0U);
    prefiller_.wire().send(0);
  }

  void run() {
    meet_fault();
    if (case_.duration > 0ms) {
      std::this_thread::sleep_for(case_.duration);  // The fault itself lasts so long.
      end_fault();
    }
    expect_put_ended();
    if (case_.duration > 0ms) {
      expect_new_requests_succeed();
    }
    expect_all_back();
  }

 private:
  static void tell(const Child& child, Order order, std::uint64_t value = 0) {
    child.wire().send(order);
    child.wire().send(value);
  }
  static std::uint64_t ask(const Child& child, Order order, std::uint64_t value = 0) {
    tell(child, order, value);
    return child.wire().receive().value_or(kHangs);
  }

  TwoHosts lay_cable() {
    EXPECT_EQ(prefiller_.wire().receive(), 0U);
    EXPECT_EQ(decoder_.wire().receive(), 0U);
    return {prefiller_.pid(), decoder_.pid()};
  }

  /// The put is under way, has come as far as the case says, and the fault has begun.
  void meet_fault() {
    switch (case_.moment) {
      case Moment::kHandshake:  // The welcome is there, the data connection can't be made.
        hosts_.deafen_second(fmt::format("tcp dport {}", kDataPort));
        tell(prefiller_, kSubmit, kFirst);
        EXPECT_EQ(ask(decoder_, kAwaitPeer), 0U);
        hosts_.let_second_hear();
        begin_fault();
        return;
      case Moment::kAllocation:  // Both know each other, the AllocRequest does not arrive.
        hosts_.deafen_second(kToAlloc);
        tell(prefiller_, kSubmit, kFirst);
        EXPECT_EQ(ask(prefiller_, kAwaitPeer), 0U);
        hosts_.let_second_hear();
        begin_fault();
        return;
      case Moment::kWrite:
        return meet_fault_at(prefiller_);
      case Moment::kCommit:
        return meet_fault_at(decoder_);
    }
  }
  void meet_fault_at(const Child& child) {
    EXPECT_EQ(ask(child, kArm), 0U);
    tell(prefiller_, kSubmit, kFirst);
    EXPECT_EQ(child.wire().receive(), kReached);
    begin_fault();
    tell(child, kGoOn);
  }

  void begin_fault() const {
    switch (case_.fault) {
      case Fault::kLinkDown:
        return hosts_.cut();
      case Fault::kLossToDecoder:
        return hosts_.deafen_second();
      case Fault::kLossToPrefiller:
        return hosts_.deafen_first();
      case Fault::kControlLossToDecoder:
        return hosts_.deafen_second(kToAlloc);
      case Fault::kControlLossToPrefiller:
        return hosts_.deafen_first(kFromAlloc);
    }
  }
  void end_fault() const {
    switch (case_.fault) {
      case Fault::kLinkDown:
        return hosts_.mend();
      case Fault::kLossToDecoder:
      case Fault::kControlLossToDecoder:
        return hosts_.let_second_hear();
      case Fault::kLossToPrefiller:
      case Fault::kControlLossToPrefiller:
        return hosts_.let_first_hear();
    }
  }

  /// Within a lease and its sweep at the decoder, and truly: what is called done is there.
  void expect_put_ended() {
    const bool granted = case_.moment == Moment::kWrite || case_.moment == Moment::kCommit;
    std::uint64_t claimed = granted ? ask(decoder_, kClaim, kFirst) : kUnknown;
    const std::uint64_t code = ask(prefiller_, kAwaitEnd);
    if (!granted && code == 0) {
      claimed = ask(decoder_, kClaim, kFirst);
    }
    EXPECT_NE(code, kHangs) << "the put has not ended";
    EXPECT_TRUE(code != 0 || claimed == kIdentical) << "the put was called done";
    EXPECT_NE(claimed, kMismatched);
    EXPECT_TRUE(claimed != kUnknown || !granted) << "the decoder still waits for it";
  }

  /// Some may still meet the news of the lost connection, and say so.
  void expect_new_requests_succeed() {
    const auto give_up = std::chrono::steady_clock::now() + 15s;
    std::uint64_t first = kFirst;
    std::uint64_t code = 0;
    do {
      first += kPages;
      tell(prefiller_, kSubmit, first);
      code = ask(prefiller_, kAwaitEnd);
      EXPECT_NE(code, kHangs);
    } while (code != 0 && code != kHangs && std::chrono::steady_clock::now() < give_up);
    EXPECT_EQ(code, 0U) << "no request succeeds although the network is whole";
    EXPECT_EQ(ask(decoder_, kClaim, first), kIdentical);
  }

  void expect_all_back() {
    const auto limit = static_cast<std::uint64_t>(kSlack.count());
    EXPECT_EQ(ask(decoder_, kGiveBack, limit), 0U) << "the decoder has lost pages";
    EXPECT_EQ(ask(prefiller_, kGiveBack, limit), 0U) << "the prefiller has lost pages";
  }

  static constexpr std::uint64_t kFirst = 1'000;

  const Case case_;
  Child prefiller_;
  Child decoder_;
  TwoHosts hosts_;
};

void run_all(Moment moment) {
  if (const auto why = why_no_hosts(); why.has_value()) {
    GTEST_SKIP() << *why;
  }
  // Each in a process of its own: they mostly wait.
  std::vector<std::pair<std::string, std::unique_ptr<Child>>> cases;
  for (const Case& each :
       {Case{moment, Fault::kLinkDown, 1s, "link down for 1 s"},
        Case{moment, Fault::kLinkDown, 5s, "link down for 5 s"},
        Case{moment, Fault::kLinkDown, 0s, "link down for good"},
        Case{moment, Fault::kLossToDecoder, 3s, "loss to the decoder"},
        Case{moment, Fault::kLossToPrefiller, 3s, "loss to the prefiller"},
        Case{moment, Fault::kLossToDecoder, 0s, "loss to the decoder for good"},
        Case{moment, Fault::kLossToPrefiller, 0s, "loss to the prefiller for good"},
        Case{moment, Fault::kControlLossToDecoder, 0s, "control loss to the decoder for good"},
        Case{moment, Fault::kControlLossToPrefiller, 3s, "control loss to the prefiller"},
        Case{moment, Fault::kControlLossToPrefiller, 0s,
             "control loss to the prefiller for good"}}) {
    cases.emplace_back(each.name, std::make_unique<Child>([each](const Wire&) {
                         SCOPED_TRACE(each.name);
                         CutNetwork(each).run();
                         std::fflush(nullptr);
                         return ::testing::Test::HasFailure() ? 1 : 0;
                       }));
  }
  for (const auto& [name, child] : cases) {
    EXPECT_EQ(child->join(), 0) << name;
  }
}

TEST(CutNetworkDuring, Handshake) {
  run_all(Moment::kHandshake);
}

TEST(CutNetworkDuring, Allocation) {
  run_all(Moment::kAllocation);
}

TEST(CutNetworkDuring, Write) {
  run_all(Moment::kWrite);
}

TEST(CutNetworkDuring, Commit) {
  run_all(Moment::kCommit);
}

}  // namespace
}  // namespace baton
