// Runs the same test on ZmqNetwork (a real loop, real sockets) and InprocNetwork (virtual time).
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/event_loop.h"
#include "src/control/inproc/inproc_network.h"
#include "src/control/zmq/zmq_network.h"
#include "tests/support/virtual_scheduler.h"
#include "tests/unit/control/raw_peer.h"

namespace baton::control {

/// Limits small enough that tests reach them.
inline constexpr int kTestHwm = 100;
inline constexpr std::size_t kTestMaxMessageBytes = 64U << 10U;
inline constexpr auto kTestDeadline = std::chrono::seconds(30);

class Harness {
 public:
  virtual ~Harness() = default;
  virtual Network& network() = 0;
  /// Runs `task` on the loop and returns when it has run.
  virtual void run(std::function<void()> task) = 0;
  /// Lets the loop turn until `condition`, evaluated there, holds; false if it never does.
  virtual bool await(std::function<bool()> condition) = 0;
  /// An endpoint to bind, different each time it was bound.
  virtual std::string any_endpoint() const = 0;
  /// An endpoint where nobody listens, until the test binds it.
  virtual std::string unused_endpoint() = 0;
};

/// An end of the network, used and destroyed on the loop.
template <typename End>
class OnLoop {
 public:
  OnLoop(Harness& harness, std::unique_ptr<End> end) : harness_(&harness), end_(std::move(end)) {}
  OnLoop(OnLoop&& other) noexcept = default;
  OnLoop& operator=(OnLoop&&) = delete;
  ~OnLoop() { reset(); }

  void reset() {
    if (end_ != nullptr) {
      harness_->run([this] { end_.reset(); });
    }
  }
  Status send(std::string_view payload) {
    Status status;
    harness_->run([&] { status = end_->send(payload); });
    return status;
  }
  std::unique_ptr<End>& operator*() { return end_; }
  End* operator->() { return end_.get(); }

 private:
  Harness* harness_;
  std::unique_ptr<End> end_;
};

using ServerHandler = std::function<void(const Route&, std::string_view)>;
using PayloadHandler = std::function<void(std::string_view)>;

// A port is free again only a moment after its last owner is gone, so binding is tried until it
// works.
inline OnLoop<Server> bind_server(Harness& harness, const std::string& endpoint,
                                  ServerHandler handler) {
  std::unique_ptr<Server> server;
  EXPECT_TRUE(harness.await([&] {
    auto bound = harness.network().bind_server(endpoint, handler);
    server = bound.ok() ? *std::move(bound) : nullptr;
    return server != nullptr;
  }));
  return {harness, std::move(server)};
}

inline OnLoop<Pull> bind_pull(Harness& harness, const std::string& endpoint,
                              PayloadHandler handler) {
  std::unique_ptr<Pull> pull;
  EXPECT_TRUE(harness.await([&] {
    auto bound = harness.network().bind_pull(endpoint, handler);
    pull = bound.ok() ? *std::move(bound) : nullptr;
    return pull != nullptr;
  }));
  return {harness, std::move(pull)};
}

inline OnLoop<Client> connect_client(Harness& harness, const std::string& endpoint,
                                     const std::string& identity, PayloadHandler handler) {
  std::unique_ptr<Client> client;
  harness.run([&] {
    client = harness.network().connect_client(endpoint, identity, std::move(handler)).value();
  });
  return {harness, std::move(client)};
}

inline OnLoop<Push> connect_push(Harness& harness, const std::string& endpoint) {
  std::unique_ptr<Push> push;
  harness.run([&] { push = harness.network().connect_push(endpoint).value(); });
  return {harness, std::move(push)};
}

class InprocHarness final : public Harness {
 public:
  Network& network() override { return network_; }
  void run(std::function<void()> task) override {
    bool ran = false;
    scheduler_.post([&] {
      task();
      ran = true;
    });
    ASSERT_TRUE(scheduler_.run_until([&] { return ran; }));
  }
  bool await(std::function<bool()> condition) override { return scheduler_.run_until(condition); }
  std::string any_endpoint() const override { return "tcp://receiver:0"; }
  std::string unused_endpoint() override { return "tcp://receiver:8300"; }

  testing::VirtualScheduler& scheduler() { return scheduler_; }
  InprocNetwork& inproc() { return network_; }

 private:
  testing::VirtualScheduler scheduler_;
  InprocNetwork network_{scheduler_, {.hwm = kTestHwm, .max_message_bytes = kTestMaxMessageBytes}};
};

inline ZmqOptions test_zmq_options() {
  ZmqOptions options;
  options.hwm = kTestHwm;
  options.max_message_bytes = kTestMaxMessageBytes;
  options.reconnect_ms = std::chrono::milliseconds(5);
  return options;
}

class ZmqHarness final : public Harness {
 public:
  explicit ZmqHarness(ZmqOptions options = test_zmq_options())
      : loop_(EventLoop::create("control-test").value()) {
    loop_->start();
    run([&] { network_ = std::make_unique<ZmqNetwork>(*loop_, options); });
  }
  ~ZmqHarness() override {
    run([this] { network_.reset(); });
    loop_->stop();
  }

  Network& network() override { return *network_; }
  ZmqNetwork& zmq() { return *network_; }
  EventLoop& loop() { return *loop_; }
  void run(std::function<void()> task) override { loop_->run_sync(std::move(task)); }
  bool await(std::function<bool()> condition) override {
    const auto watch = std::make_shared<Watch>(Watch{std::move(condition), {}});
    auto held = watch->held.get_future();
    loop_->post([this, watch] { check(watch, loop_->now() + kTestDeadline); });
    return held.get();
  }
  std::string any_endpoint() const override { return "tcp://127.0.0.1:0"; }
  // Bound but not listening: it refuses connections, nobody else is given the port, and (both
  // sides set SO_REUSEADDR) ZeroMQ can still bind it. A closed ZeroMQ socket won't do: it may go
  // on accepting for a moment.
  std::string unused_endpoint() override {
    std::string endpoint;
    reserved_.push_back(tcp_bind(endpoint));
    return endpoint;
  }

 private:
  struct Watch {
    std::function<bool()> condition;
    std::promise<bool> held;
  };

  void check(const std::shared_ptr<Watch>& watch, TimePoint deadline) {
    const bool held = watch->condition();
    if (held || loop_->now() > deadline) {
      watch->held.set_value(held);
      return;
    }
    loop_->run_after(std::chrono::milliseconds(1),
                     [this, watch, deadline] { check(watch, deadline); });
  }

  std::vector<UniqueFd> reserved_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ZmqNetwork> network_;
};

}  // namespace baton::control
