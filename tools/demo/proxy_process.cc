#include "tools/demo/proxy_process.h"

#include <fmt/format.h>

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/event_loop.h"
#include "src/control/zmq/zmq_network.h"
#include "tools/demo/message_pipe.h"
#include "tools/demo/orders.h"
#include "tools/demo/proxy_driver.h"
#include "tools/demo/worker_group.h"

namespace baton::demo {
namespace {

std::uint16_t port_of(const std::string& endpoint) {
  return static_cast<std::uint16_t>(std::stoul(endpoint.substr(endpoint.rfind(':') + 1)));
}

/// What lives on the loop, in the order of its making.
class Proxy {
 public:
  Proxy(EventLoop& loop, const Setup& setup, WorkerGroup& prefillers, WorkerGroup& decoders)
      : loop_(loop), setup_(setup), prefillers_(prefillers), decoders_(decoders) {}

  /// `main_gone` runs once the main process has closed its end.
  Status start_on_loop(UniqueFd main_socket, std::vector<PlannedRequest> requests, Task main_gone);
  void stop_on_loop();

 private:
  Status build(std::vector<PlannedRequest> requests);
  WorkerGroup::Handlers handlers(Task on_all_ended);
  void on_message(Message message);
  void start_when_ready();
  void report_end();
  void fail(const std::string& why);

  EventLoop& loop_;
  Setup setup_;
  WorkerGroup& prefillers_;
  WorkerGroup& decoders_;
  std::unique_ptr<control::ZmqNetwork> network_;
  std::unique_ptr<proxy::ReleaseGate> gate_;
  std::unique_ptr<LoopChannel> main_;
  std::unique_ptr<ProxyDriver> driver_;
  std::uint32_t groups_ready_ = 0;
  bool failed_ = false;
};

Status Proxy::build(std::vector<PlannedRequest> requests) {
  network_ = std::make_unique<control::ZmqNetwork>(loop_);
  auto gate = proxy::ReleaseGate::bind(loop_, *network_, "tcp://127.0.0.1:0");
  if (!gate.ok()) {
    return gate.status();
  }
  gate_ = *std::move(gate);
  auto router = proxy::Router::create(prefillers_.names(), decoders_.names());
  if (!router.ok()) {
    return router.status();
  }
  driver_ = std::make_unique<ProxyDriver>(
      loop_, *gate_, *std::move(router), setup_, std::move(requests),
      ProxyDriver::Outlets{
          .to_prefiller = [this](auto worker,
                                 const Message& job) { prefillers_.send(worker, job); },
          .to_decoder = [this](auto worker, const Message& job) { decoders_.send(worker, job); },
          .on_result = [this](const RequestResult& result) { main_->send(result); },
          // Prefillers first: decoders count their pages when no writer is left.
          .on_all_done = [this] { prefillers_.finish(); }});
  return absl::OkStatus();
}

WorkerGroup::Handlers Proxy::handlers(Task on_all_ended) {
  return {.on_all_ready = [this] { start_when_ready(); },
          .on_message = [this](Message message) { on_message(std::move(message)); },
          .on_all_ended = std::move(on_all_ended),
          .on_lost = [this](const std::string& why) { fail(why); }};
}

Status Proxy::start_on_loop(UniqueFd main_socket, std::vector<PlannedRequest> requests,
                            Task main_gone) {
  main_ = std::make_unique<LoopChannel>(
      loop_, std::move(main_socket), [](const Message& /*message*/) {},
      [gone = std::move(main_gone)](const Status& /*why*/) mutable { gone(); });
  if (Status built = build(std::move(requests)); !built.ok()) {
    return built;
  }
  Setup setup = setup_;
  setup.proxy_port = port_of(gate_->endpoint());
  prefillers_.connect(loop_, setup, handlers([this] { decoders_.finish(); }));
  decoders_.connect(loop_, setup, handlers([this] { report_end(); }));
  return absl::OkStatus();
}

void Proxy::start_when_ready() {
  if (++groups_ready_ == 2) {
    driver_->start(decoders_.ready());
  }
}

void Proxy::on_message(Message message) {
  if (failed_) {
    return;
  }
  if (const auto* first = std::get_if<FirstToken>(&message)) {
    driver_->on_first_token(*first);
  } else if (const auto* ended = std::get_if<PutsEnded>(&message)) {
    driver_->on_puts_ended(*ended);
  } else if (auto* done = std::get_if<DecodeDone>(&message)) {
    driver_->on_decode_done(std::move(*done));
  } else {
    fail("a worker sent a message that is not for the proxy");
  }
}

void Proxy::report_end() {
  RunEnd end;
  end.peak_open = driver_->peak_open();
  for (const WorkerEnd& prefiller : prefillers_.ends()) {
    end.transports.insert(end.transports.end(), prefiller.transports.begin(),
                          prefiller.transports.end());
    end.faults += prefiller.faults;
  }
  for (const WorkerEnd& decoder : decoders_.ends()) {
    end.pages_total += decoder.pages_total;
    end.pages_retained += decoder.pages_retained;
    end.pages_free_after_evict += decoder.pages_free_after_evict;
    end.faults += decoder.faults;
  }
  main_->send(end);
}

void Proxy::fail(const std::string& why) {
  if (!std::exchange(failed_, true)) {
    main_->send(Failure{why});
  }
}

void Proxy::stop_on_loop() {
  prefillers_.disconnect();
  decoders_.disconnect();
  driver_.reset();
  main_.reset();
  gate_.reset();
  network_.reset();
}

Status run(MessagePipe& pipe) {
  auto orders = receive_orders(pipe);
  if (!orders.ok()) {
    return orders.status();
  }
  const Setup& setup = orders->setup;
  // The workers die with the thread that spawns them: this one, which lasts.
  auto prefillers = WorkerGroup::spawn("demo-prefill", "prefiller", setup.prefillers);
  if (!prefillers.ok()) {
    return prefillers.status();
  }
  auto decoders = WorkerGroup::spawn("demo-decode", "decoder", setup.decoders);
  if (!decoders.ok()) {
    return decoders.status();
  }
  auto loop = EventLoop::create("demo-proxy");
  if (!loop.ok()) {
    return loop.status();
  }
  (*loop)->start();
  Proxy proxy(**loop, setup, **prefillers, **decoders);
  std::promise<void> main_gone;
  Status started;
  (*loop)->run_sync([&] {
    started = proxy.start_on_loop(pipe.take_socket(), std::move(orders->requests),
                                  [&main_gone] { main_gone.set_value(); });
  });
  if (started.ok()) {
    // The main process keeps the time and ends first; this is for the case that it can't.
    const auto limit = 2 * std::chrono::milliseconds(setup.timeout_ms);
    static_cast<void>(main_gone.get_future().wait_for(limit));
  }
  (*loop)->run_sync([&] { proxy.stop_on_loop(); });
  (*loop)->stop();
  return started;
}

}  // namespace

int run_proxy(UniqueFd socket) {
  MessagePipe pipe(std::move(socket));
  const Status status = run(pipe);
  if (!status.ok()) {
    static_cast<void>(pipe.send(Failure{std::string(status.message())}));
  }
  return status.ok() ? 0 : 1;
}

}  // namespace baton::demo
