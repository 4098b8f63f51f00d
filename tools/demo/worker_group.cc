#include "tools/demo/worker_group.h"

#include <fmt/format.h>

#include <utility>

namespace baton::demo {
namespace {

/// A process that closed its channel is about to end.
constexpr std::chrono::milliseconds kExitLimit{10'000};

}  // namespace

StatusOr<std::unique_ptr<WorkerGroup>> WorkerGroup::spawn(const std::string& subcommand,
                                                          const std::string& kind,
                                                          std::uint32_t count) {
  auto group = std::make_unique<WorkerGroup>();
  for (std::uint32_t i = 0; i < count; ++i) {
    auto process = ChildProcess::spawn(subcommand, fmt::format("{} {}", kind, i));
    if (!process.ok()) {
      return process.status();
    }
    group->workers_.emplace_back().process = *std::move(process);
  }
  return group;
}

void WorkerGroup::connect(Reactor& reactor, Setup setup, Handlers handlers) {
  handlers_ = std::move(handlers);
  for (Worker& worker : workers_) {
    worker.channel = std::make_unique<LoopChannel>(
        reactor, worker.process->take_socket(),
        [this, &worker](Message message) { on_message(worker, std::move(message)); },
        [this, &worker](const Status& why) { on_channel_end(worker, why); });
    worker.channel->send(setup);
    ++setup.worker;
    // One chunk of the run is damaged, so one worker does it.
    setup.fault = Fault::kNone;
  }
}

void WorkerGroup::disconnect() {
  for (Worker& worker : workers_) {
    worker.channel.reset();
  }
}

void WorkerGroup::finish() {
  for (Worker& worker : workers_) {
    worker.channel->send(Finish{});
  }
}

void WorkerGroup::on_message(Worker& worker, Message message) {
  if (const auto* ready = std::get_if<WorkerReady>(&message)) {
    worker.ready = *ready;
    if (++ready_count_ == workers_.size()) {
      handlers_.on_all_ready();
    }
  } else if (auto* end = std::get_if<WorkerEnd>(&message)) {
    worker.ended = true;
    ends_.push_back(std::move(*end));
  } else if (auto* failure = std::get_if<Failure>(&message)) {
    worker.failure = std::move(failure->message);
  } else {
    handlers_.on_message(std::move(message));
  }
}

void WorkerGroup::on_channel_end(Worker& worker, const Status& why) {
  // Short, and nothing else is worth doing now: waiting on the loop is fine.
  const Status exited = worker.process->wait(kExitLimit);
  if (worker.ended && exited.ok()) {
    if (++gone_count_ == workers_.size()) {
      handlers_.on_all_ended();
    }
    return;
  }
  std::string text = exited.ok()
                         ? fmt::format("{}: {}", worker.process->name(), std::string(why.message()))
                         : std::string(exited.message());
  if (!worker.failure.empty()) {
    text += ": " + worker.failure;
  }
  handlers_.on_lost(std::move(text));
}

std::vector<WorkerReady> WorkerGroup::ready() const {
  std::vector<WorkerReady> result;
  for (const Worker& worker : workers_) {
    result.push_back(worker.ready);
  }
  return result;
}

std::vector<std::string> WorkerGroup::names() const {
  std::vector<std::string> result;
  for (const Worker& worker : workers_) {
    result.push_back(worker.process->name());
  }
  return result;
}

}  // namespace baton::demo
