// Everything that the processes of one simulation share.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "src/control/inproc/inproc_network.h"
#include "src/transport/loopback/loopback_hub.h"
#include "tests/simulation/model/checker.h"
#include "tests/simulation/world/conditions.h"
#include "tests/simulation/world/content.h"
#include "tests/simulation/world/coverage.h"
#include "tests/simulation/world/history.h"
#include "tests/simulation/world/profile.h"
#include "tests/simulation/world/random.h"
#include "tests/support/virtual_scheduler.h"

namespace baton::simulation {

class Process;

struct World {
  World(std::uint64_t seed, const Profile& with, bool verbose);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// Who has done something in this event, or was written to.
  void touch(const std::string& process) { touched.insert(process); }

  const Profile profile;
  Random random;
  testing::VirtualScheduler clock;
  Content content;
  Coverage coverage;
  History history;
  Checker checker;
  Conditions conditions;
  transport::LoopbackHub hub;
  control::InprocNetwork network;
  std::set<std::string> touched;
};

}  // namespace baton::simulation
