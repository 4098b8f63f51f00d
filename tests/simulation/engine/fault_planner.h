// What happens to processes and connections, at any step.
#pragma once

#include "src/base/lifetime.h"
#include "tests/simulation/engine/fleet.h"
#include "tests/simulation/engine/workload.h"

namespace baton::simulation {

class FaultPlanner {
 public:
  FaultPlanner(World& world, Fleet& fleet, Workload& workload, Random random)
      : world_(world), fleet_(fleet), workload_(workload), random_(random) {}

  /// Between two events. Mostly does nothing.
  void after_event();

 private:
  void crash(Process& process, Point point);
  void cut();
  void partition();
  void pause();
  template <typename Processes>
  auto& any_of(Processes& groups) {
    return *random_.pick(random_.pick(groups));
  }

  World& world_;
  Fleet& fleet_;
  Workload& workload_;
  Random random_;
  Lifetime lifetime_;
};

}  // namespace baton::simulation
