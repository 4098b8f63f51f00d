// A real Baton sender process before LMCache's proxy: through success, failure, cancel and restart
// the proxy's loop goes on, and counts each request that arrived once and no other. Promise: P2.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "tests/support/backend_pair.h"
#include "tests/support/child.h"
#include "tests/support/stock_proxy.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

constexpr std::uint32_t kPages = 256;
constexpr std::uint32_t kChunks = 8;

enum Order : std::uint64_t { kQuit, kPut, kPutDamaged, kPutAndCancel, kCancel };

std::string name_of(std::uint64_t number) {
  return "cmpl-" + std::to_string(number);
}

/// Cancels a request of which half has arrived, and one whose put is under way and can't end: there
/// is nobody at its ports. True if both were cancelled.
bool cancel_two(PdBackend& prefill, std::uint16_t init, std::uint16_t alloc, std::uint64_t number) {
  const auto keys = small_keys(number * kChunks, kChunks);
  const auto objects = staged(prefill, number * kChunks, kChunks);
  const auto half = [&](std::size_t first, const TransferSpec& to) {
    return prefill.batched_submit_put_task(std::span(keys).subspan(first, kChunks / 2),
                                           std::span(objects).subspan(first, kChunks / 2), to);
  };
  const auto arrived = half(0, transfer_to(init, alloc, name_of(number), kChunks, false));
  const std::string nowhere = name_of(number) + "-nowhere";
  const auto waiting = half(kChunks / 2, transfer_to(1, 2, nowhere, kChunks / 2));
  return arrived.ok() && arrived->wait(30s).ok() && prefill.cancel_request(name_of(number)).ok() &&
         waiting.ok() && prefill.cancel_request(nowhere).ok() &&
         absl::IsCancelled(waiting->wait(30s));
}

/// Takes orders: a kind and a number; answers each with whether the put was a success.
int run_sender(const Wire& wire, ProxyKind kind) {
  const auto port = [&] { return static_cast<std::uint16_t>(*wire.receive()); };
  Options options = small_options(Role::kSender, kPages, TransportChoice::kTcp);
  options.pd_proxy_host = "127.0.0.1";
  options.pd_proxy_port = port();
  options.pd_proxy_kind = kind;
  const std::uint16_t init = port();
  const std::uint16_t alloc = port();
  FaultInjection faults;
  std::set<std::string> damaged;
  faults.sender.drop_write = [&](std::string_view key) {
    return damaged.contains(std::string(key));
  };
  auto prefill = make_backend(options, small_layout(), &faults);
  for (;;) {
    const auto order = wire.receive();
    if (!order.has_value() || *order == kQuit) {
      return 0;
    }
    const std::uint64_t number = *wire.receive();
    if (*order == kCancel) {
      wire.send(cancel_two(*prefill, init, alloc, number) ? 1 : 0);
      continue;
    }
    const auto keys = small_keys(number * kChunks, kChunks);
    if (*order == kPutDamaged) {
      damaged.insert(keys[3].to_string());  // Nothing is under way: the loop doesn't look.
    }
    // Two puts: one that is damaged or cancelled has a sibling that was fine.
    const auto objects = staged(*prefill, number * kChunks, kChunks);
    bool good = true;
    std::vector<PutHandle> puts;
    for (const std::uint32_t first : {0U, kChunks / 2}) {
      auto put = prefill->batched_submit_put_task(
          std::span(keys).subspan(first, kChunks / 2),
          std::span(objects).subspan(first, kChunks / 2),
          transfer_to(init, alloc, name_of(number), kChunks, first > 0));
      good = good && put.ok();
      if (put.ok()) {
        puts.push_back(*put);
      }
    }
    if (*order == kPutAndCancel) {
      static_cast<void>(prefill->cancel_request(name_of(number)));
    }
    for (const PutHandle& put : puts) {
      good = put.wait(30s).ok() && good;
    }
    wire.send(good ? 1 : 0);
  }
}

class StockProxyTest : public ::testing::Test {
 protected:
  void introduce(const Child& child) {
    child.wire().send(proxy->port());
    child.wire().send(decode->init_port());
    child.wire().send(decode->alloc_port());
  }
  /// True if the put was a success, or what was to be cancelled was.
  bool order(const Child& child, Order kind) {
    child.wire().send(kind);
    child.wire().send(++last);
    const bool good = child.wire().receive() == 1U;
    if (good && kind != kCancel) {
      ++expected[name_of(last)];
    }
    return good;
  }
  void start() {
    decode = make_backend(small_options(Role::kReceiver, kPages, TransportChoice::kTcp));
    proxy.emplace();
  }

  // Children are forked first, while there is one thread.
  Child sender{[](const Wire& wire) { return run_sender(wire, ProxyKind::kStock); }};
  Child restarted{[](const Wire& wire) { return run_sender(wire, ProxyKind::kStock); }};
  Child talkative{[](const Wire& wire) { return run_sender(wire, ProxyKind::kBaton); }};
  std::unique_ptr<PdBackend> decode;
  std::optional<StockProxy> proxy;
  std::uint64_t last = 0;
  std::map<std::string, int> expected;
};

TEST_F(StockProxyTest, ItsLoopGoesOnThroughSuccessFailureCancelAndRestart) {
  start();
  introduce(sender);
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(order(sender, kPut));
    EXPECT_FALSE(order(sender, kPutDamaged));
    order(sender, kPutAndCancel);  // Either may win.
    EXPECT_TRUE(order(sender, kCancel));
  }
  EXPECT_TRUE(order(sender, kPut));
  // Words of one sender come in order: what it had to say before has been heard.
  ASSERT_TRUE(proxy->wait_for(name_of(last)));
  EXPECT_EQ(proxy->counts(), expected);

  sender.wire().send(kPut);
  sender.wire().send(++last);
  const std::string cut_short = name_of(last);
  sender.signal(SIGKILL);
  EXPECT_EQ(sender.join(), -SIGKILL);

  introduce(restarted);
  EXPECT_TRUE(order(restarted, kPut));
  EXPECT_FALSE(order(restarted, kPutDamaged));
  EXPECT_TRUE(order(restarted, kPut));
  restarted.wire().send(kQuit);
  EXPECT_EQ(restarted.join(), 0);
  ASSERT_TRUE(proxy->wait_for(name_of(last)));
  EXPECT_FALSE(proxy->ended());
  auto counts = proxy->counts();
  EXPECT_LE(counts[cut_short], 1);
  counts.erase(cut_short);
  EXPECT_EQ(counts, expected);
}

/// The stand-in does end: at the failure notice that a Baton proxy gets, the first time.
TEST_F(StockProxyTest, ItsLoopEndsAtAMessageOfBatons) {
  start();
  introduce(talkative);
  EXPECT_FALSE(order(talkative, kPutDamaged));
  EXPECT_TRUE(proxy->wait_for_end());
  EXPECT_TRUE(proxy->counts().empty());
}

}  // namespace
}  // namespace baton
