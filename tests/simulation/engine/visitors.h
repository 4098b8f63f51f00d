// Whoever else uses the decoders' chunks: gets, pins, removals.
#pragma once

#include <string>

#include "src/base/lifetime.h"
#include "tests/simulation/engine/fleet.h"

namespace baton::simulation {

class Visitors {
 public:
  Visitors(World& world, Fleet& fleet, Random random)
      : world_(world), fleet_(fleet), random_(random) {}

  void start() { schedule(); }
  void stop() { stopped_ = true; }

 private:
  void schedule();
  void visit();
  void get(ReceiverProcess& at, const std::string& key);

  World& world_;
  Fleet& fleet_;
  Random random_;
  bool stopped_ = false;
  Lifetime lifetime_;
};

}  // namespace baton::simulation
