// All workers of one kind, as the proxy sees them.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/demo/child_process.h"
#include "tools/demo/loop_channel.h"
#include "tools/demo/messages.h"

namespace baton::demo {

/// Spawned and destroyed on the process's main thread; everything in between on the loop, channels
/// included: connect() … disconnect().
class WorkerGroup {
 public:
  struct Handlers {
    Task on_all_ready;
    /// What is neither WorkerReady, WorkerEnd nor Failure.
    absl::AnyInvocable<void(Message)> on_message;
    Task on_all_ended;
    /// A worker failed or died: it says which and why.
    absl::AnyInvocable<void(std::string why)> on_lost;
  };

  /// "demo-prefill" and "prefiller", for instance.
  static StatusOr<std::unique_ptr<WorkerGroup>> spawn(const std::string& subcommand,
                                                      const std::string& kind, std::uint32_t count);

  void connect(Reactor& reactor, Setup setup, Handlers handlers);
  void disconnect();

  void send(std::uint32_t worker, const Message& message) {
    workers_[worker].channel->send(message);
  }
  /// Asks all to end; on_all_ended follows.
  void finish();

  std::vector<WorkerReady> ready() const;
  std::vector<std::string> names() const;
  /// After on_all_ended.
  const std::vector<WorkerEnd>& ends() const { return ends_; }

 private:
  struct Worker {
    std::unique_ptr<ChildProcess> process;
    std::unique_ptr<LoopChannel> channel;
    WorkerReady ready;
    bool ended = false;
    std::string failure;
  };

  void on_message(Worker& worker, Message message);
  void on_channel_end(Worker& worker, const Status& why);

  std::vector<Worker> workers_;
  std::vector<WorkerEnd> ends_;
  std::uint32_t ready_count_ = 0;
  std::uint32_t gone_count_ = 0;
  Handlers handlers_;
};

}  // namespace baton::demo
