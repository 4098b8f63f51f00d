// One of two hosts of `make rdma-hosts-test`: a decoder on the one, a prefiller on the other.
// Promises: P1, P2, P5, P6.
#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <semaphore>
#include <string_view>
#include <thread>

#include "tests/support/backend_pair.h"
#include "tests/support/rdma_devices.h"
#include "tests/support/waiting.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using namespace ::baton::testing;  // NOLINT: the tests' vocabulary

constexpr const char* kDevice = "rxe0:1";
constexpr const char* kReceiverAddress = "10.77.0.2";
constexpr std::uint32_t kChunks = 150;
/// The next put may come before a claim of the last one ends, or a failed one's pages are drained.
constexpr std::uint32_t kPages = 4 * kChunks;
constexpr std::uint32_t kFaultAt = 20;  // chunks are verified, others on their way
constexpr auto kLinkDownFor = 3'000ms;
constexpr auto kStallLimit = 6'000ms;
/// A put whose path is dead ends by the stall limit; the rest is for an emulated machine.
constexpr auto kPutEnds = kStallLimit + 20'000ms;
constexpr auto kOtherHostEnds = 120'000ms;

/// Both hosts know the requests by these: names, first keys and seeds.
constexpr std::uint64_t kBefore = 1'000;
constexpr std::uint64_t kUnderFault = 2'000;
constexpr std::uint64_t kLater = 3'000;
constexpr std::uint64_t kStep = 1'000;
constexpr std::uint64_t kTries = 8;
/// Added to the seed of later chunks: the put under fault was called done.
constexpr std::uint64_t kCalledDone = 500'000;

enum class Fault : std::uint8_t { kNone, kLinkDown, kDeath };

std::atomic<int> failures{0};

bool expect(bool condition, std::string_view what) {
  if (!condition) {
    std::fprintf(stderr, "failed: %s\n", std::string(what).c_str());
    ++failures;
  }
  return condition;
}

Options options(Role role, std::uint16_t port) {
  Options options = small_options(role, kPages, TransportChoice::kUcx);
  options.pd_ucx_rails = {kDevice};
  options.pd_ucx_stall_timeout_ms = kStallLimit;
  options.pd_put_timeout_ms = 60'000ms;
  if (role == Role::kReceiver) {
    options.pd_peer_host = kReceiverAddress;
    options.pd_peer_init_port = {port};
    options.pd_peer_alloc_port = {static_cast<std::uint16_t>(port + 1)};
    options.pd_peer_ucx_port = {static_cast<std::uint16_t>(port + 2)};
  }
  return options;
}

StatusOr<Claim> claim(PdBackend& decode, std::uint64_t first) {
  return decode.claim(std::to_string(first), small_keys(first, kChunks), kPutEnds);
}

bool identical(const StatusOr<Claim>& claim, std::uint64_t seed) {
  bool same = claim.ok() && claim->chunks().size() == kChunks;
  for (std::uint32_t i = 0; same && i < kChunks; ++i) {
    same = holds(claim->chunks()[i], seed + i);
  }
  return same;
}

/// What arrived is whole; and of a put that its sender called done, all arrived.
void receive_under_fault(PdBackend& decode) {
  const bool arrived = [&] {
    const auto under_fault = claim(decode, kUnderFault);
    std::printf("the request under fault: %s\n", under_fault.status().ToString().c_str());
    expect(!under_fault.ok() || identical(under_fault, kUnderFault), "chunks differ");
    expect(!absl::IsDeadlineExceeded(under_fault.status()), "the decoder still waits for it");
    return under_fault.ok();
  }();
  for (std::uint64_t tries = 0; tries < kTries; ++tries) {
    const std::uint64_t first = kLater + tries * kStep;
    const auto later = claim(decode, first);
    if (later.ok()) {
      const bool called_done = identical(later, first + kCalledDone);
      expect(called_done || identical(later, first), "later chunks differ");
      expect(arrived || !called_done, "the put was called done");
      return;
    }
  }
  expect(false, "no later put arrived");
}

/// The put under fault comes to its middle there: `middle` runs, on the progress thread.
FaultInjection in_the_middle(std::function<void()> middle) {
  FaultInjection faults;
  faults.receiver.before_verify = [left = kChunks + kFaultAt,
                                   middle = std::move(middle)](std::span<std::byte>) mutable {
    if (left > 0 && --left == 0) {
      middle();
    }
  };
  return faults;
}

void receive(Fault fault, std::uint16_t port) {
  std::binary_semaphore link_is_down(0);
  FaultInjection faults = in_the_middle([&] {
    if (fault == Fault::kDeath) {
      std::puts("reached");  // whoever reads it ends this machine
      std::fflush(stdout);
      std::this_thread::sleep_for(kOtherHostEnds);
      std::_Exit(1);  // it did not
    }
    if (fault == Fault::kLinkDown) {
      expect(set_link(kDevice, false), "the link goes down");
      link_is_down.release();
    }
  });
  const auto decode = make_backend(options(Role::kReceiver, port), small_layout(), &faults);
  {
    // The prefiller may come late.
    const auto before = decode->claim(std::to_string(kBefore), small_keys(kBefore, kChunks), 120s);
    expect(identical(before, kBefore), "the first put is here: " + before.status().ToString());
  }
  if (fault == Fault::kLinkDown && expect(link_is_down.try_acquire_for(60s), "a second put")) {
    expect(!host_has_rdma(), "without a link the device's port is down");
    std::this_thread::sleep_for(kLinkDownFor);  // The fault itself lasts so long.
    expect(set_link(kDevice, true), "the link comes up");
    receive_under_fault(*decode);
  } else if (fault == Fault::kDeath) {
    std::this_thread::sleep_for(kOtherHostEnds);  // In vain: the machine ends.
    expect(false, "this machine is killed");
  }
  expect(wait_until([&] { return decode->stats().peers == 0; }, kOtherHostEnds),
         "the prefiller goes");
  expect(everything_comes_back(*decode), "all pages of the decoder come back");
}

Status put(PdBackend& prefill, std::uint16_t port, std::uint64_t first, std::uint64_t seed) {
  TransferSpec to =
      transfer_to(port, static_cast<std::uint16_t>(port + 1), std::to_string(first), kChunks);
  to.receiver_host = kReceiverAddress;
  const auto put = prefill.batched_submit_put_task(small_keys(first, kChunks),
                                                   staged(prefill, seed, kChunks), to);
  if (!put.ok()) {
    return put.status();
  }
  const Status ended = put->wait(kPutEnds);
  expect(put->done(), "the put hangs");
  std::printf("put %s: %s, %.1f s\n", std::to_string(first).c_str(), ended.ToString().c_str(),
              std::chrono::duration<double>(put->stats().duration).count());
  return ended;
}

void send(Fault fault, std::uint16_t port) {
  const auto prefill = make_backend(options(Role::kSender, port));
  const std::uint64_t packets_before = sent_packets(kDevice);
  expect(put(*prefill, port, kBefore, kBefore).ok(), "the first put");
  constexpr std::uint64_t kPackets = std::uint64_t{kChunks} * (64U << 10U) / (4U << 10U);
  const std::uint64_t packets = sent_packets(kDevice) - packets_before;
  expect(packets >= kPackets, fmt::format("RDMA packets: {} of {}", packets, kPackets));
  if (fault == Fault::kDeath) {
    expect(!put(*prefill, port, kUnderFault, kUnderFault).ok(), "a put to a dead host fails");
  } else if (fault == Fault::kLinkDown) {
    const bool done = put(*prefill, port, kUnderFault, kUnderFault).ok();
    // The first ones may still meet the news of the lost connection, or a device that wakes up.
    Status later;
    for (std::uint64_t tries = 0; tries == 0 || (!later.ok() && tries < kTries); ++tries) {
      const std::uint64_t first = kLater + tries * kStep;
      later = put(*prefill, port, first, first + (done ? kCalledDone : 0));
    }
    expect(later.ok(), "a later put succeeds");
  }
  expect(everything_comes_back(*prefill), "all pages of the prefiller come back");
}

int usage() {
  std::fputs("usage: hosts_peer receive|send none|link_down|death PORT\n", stderr);
  return 2;
}

int run(std::span<char*> words) {
  if (words.size() != 4) {
    return usage();
  }
  const std::string_view role = words[1];
  const std::string_view name = words[2];
  std::uint16_t port = 0;
  const std::string_view digits = words[3];
  std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if ((role != "receive" && role != "send") || port < 1 || port > 65'000 ||
      (name != "none" && name != "link_down" && name != "death")) {
    return usage();
  }
  const Fault fault = name == "death"       ? Fault::kDeath
                      : name == "link_down" ? Fault::kLinkDown
                                            : Fault::kNone;
  (role == "send" ? send : receive)(fault, port);
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  return baton::run({argv, static_cast<std::size_t>(argc)});
}
