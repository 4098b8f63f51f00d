// One simulated process: it can be started, crashed and started again, each time as another
// incarnation on the same endpoints.
#pragma once

#include <memory>
#include <string>

#include "src/base/epoch.h"
#include "src/base/loop_ref.h"
#include "src/control/inproc/inproc_network.h"
#include "tests/simulation/world/process_scheduler.h"

namespace baton::simulation {

struct World;

class Process {
 public:
  Process(World& world, std::string name) : world_(world), name_(std::move(name)) {}
  virtual ~Process() = default;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  const std::string& name() const { return name_; }
  bool alive() const { return scheduler_ != nullptr; }
  /// Of this incarnation.
  const Epoch& epoch() const { return epoch_; }
  ProcessScheduler& scheduler() { return *scheduler_; }

  void start();
  /// Without a goodbye. What it had under way in the networks stays there.
  void crash();
  /// In a turn of its own; forgotten if it crashes before.
  void post(Task task) { scheduler_->post(std::move(task)); }

 protected:
  virtual void build() = 0;
  virtual void destroy() = 0;

  World& world_;
  const std::string name_;
  Epoch epoch_;
  std::unique_ptr<ProcessScheduler> scheduler_;
  std::unique_ptr<control::InprocNetwork> network_;
  std::shared_ptr<LoopRef> loop_;
};

}  // namespace baton::simulation
