// The soak's proxy: releases a request when all ranks of its prefiller gave their word.
#include <fmt/format.h>

#include "src/base/event_loop.h"
#include "src/control/zmq/zmq_network.h"
#include "src/proxy/release_gate.h"
#include "tests/fault/soak/backend_worker.h"

namespace baton::soak {
namespace {

/// More than all of a prefiller's own time limits together.
constexpr std::chrono::seconds kReleaseLimit{12};

/// On the loop.
class Proxy {
 public:
  Proxy(EventLoop& loop, const Fleet& fleet, const Channel& driver)
      : fleet_(fleet), driver_(driver), loop_(loop), network_(loop) {}

  Status bind() {
    auto gate = proxy::ReleaseGate::bind(loop_, network_,
                                         fmt::format("tcp://127.0.0.1:{}", fleet_.proxy_port()));
    if (gate.ok()) {
      gate_ = *std::move(gate);
    }
    return gate.status();
  }

  void handle(Message message) {
    const std::string req_id =
        plan_request(fleet_.options().seed, message.round, message.number).req_id;
    if (message.word == Word::kForget) {
      gate_->forget(req_id);
      return;
    }
    message.word = Word::kExpected;
    message.set_status(gate_->expect(req_id, fleet_.options().ranks, kReleaseLimit,
                                     [this, released = message](const Status& status) mutable {
                                       released.word = Word::kReleased;
                                       released.set_status(status);
                                       driver_.send(released);
                                     }));
    driver_.send(message);
  }

 private:
  const Fleet& fleet_;
  const Channel& driver_;
  EventLoop& loop_;
  control::ZmqNetwork network_;
  std::unique_ptr<proxy::ReleaseGate> gate_;
};

}  // namespace

int run_proxy(const Fleet& fleet, const Channel& driver) {
  constexpr std::chrono::milliseconds kPortLimit{5'000};
  auto loop = EventLoop::create("soak-proxy");
  if (!loop.ok()) {
    return 1;
  }
  (*loop)->start();
  std::unique_ptr<Proxy> proxy;
  (*loop)->run_sync([&] { proxy = std::make_unique<Proxy>(**loop, fleet, driver); });
  Status bound;
  const bool began = testing::wait_until(
      [&] {
        (*loop)->run_sync([&] { bound = proxy->bind(); });
        return bound.ok();
      },
      kPortLimit);
  if (!began) {
    std::cerr << "the proxy can't begin: " << bound << '\n';
  } else if (driver.send({})) {
    while (const auto message = driver.receive()) {
      (*loop)->post([&proxy, message = *message] { proxy->handle(message); });
    }
  }
  (*loop)->run_sync([&] { proxy.reset(); });
  return began ? 0 : 1;
}

}  // namespace baton::soak
