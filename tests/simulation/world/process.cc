#include "tests/simulation/world/process.h"

#include "tests/simulation/world/world.h"

namespace baton::simulation {

void Process::start() {
  epoch_ = world_.random.epoch();
  world_.conditions.name_epoch(epoch_, name_);
  world_.history.note(name_, "starts as {}", epoch_.brief());
  scheduler_ = std::make_unique<ProcessScheduler>(world_.clock, world_.random.fork(),
                                                  [this] { world_.touch(name_); });
  network_ = std::make_unique<control::InprocNetwork>(world_.network, *scheduler_, name_);
  loop_ = std::make_shared<LoopRef>(*scheduler_);
  build();
}

void Process::crash() {
  if (!alive()) {
    return;
  }
  world_.history.note(name_, "is gone");
  world_.checker.calls().forgive(*scheduler_);
  world_.checker.crashed(name_);
  world_.hub.kill(epoch_);
  loop_->detach();
  destroy();
  network_.reset();
  scheduler_.reset();
}

}  // namespace baton::simulation
