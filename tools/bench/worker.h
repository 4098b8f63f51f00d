// A process of the benchmark, as the main process sees it.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tools/bench/json.h"
#include "tools/bench/json_pipe.h"
#include "tools/demo/child_process.h"

namespace baton::bench {

/// This program again, in one of the roles of role.h, or a script of benchmarks/lmcache_mode/. It
/// is killed and reaped with this object. Everything throws: Failed, naming the worker and what it
/// said or how it ended, or Interrupted.
class Worker {
 public:
  static constexpr std::chrono::seconds kDefaultLimit{120};

  /// `interrupt_fd`: readable once the user wants an end; outlives the worker.
  Worker(const std::string& role, std::string name, Json arguments, int interrupt_fd);

  /// What it answered when it had started: ports and the like.
  const Json& started() const { return started_; }

  Json call(const std::string& op, Json arguments = Json::object(),
            std::chrono::seconds limit = kDefaultLimit) {
    send(op, std::move(arguments));
    return receive(limit);
  }
  /// In two halves, so that several workers do something at once.
  void send(const std::string& op, Json arguments = Json::object());
  Json receive(std::chrono::seconds limit = kDefaultLimit);

  const std::string& name() const { return name_; }
  /// Processor time of the whole process, as of its last answer.
  double cpu_seconds() const { return cpu_seconds_; }

 private:
  [[noreturn]] void fail_ended();

  std::string name_;
  int interrupt_fd_;
  std::unique_ptr<demo::ChildProcess> process_;
  std::unique_ptr<JsonPipe> pipe_;
  Json started_;
  double cpu_seconds_ = 0;
};

}  // namespace baton::bench
