// All processes of a simulation.
#pragma once

#include <memory>
#include <vector>

#include "tests/simulation/world/processes.h"

namespace baton::simulation {

struct Fleet {
  explicit Fleet(World& world);

  /// In a fixed order.
  const std::vector<Process*>& all() const { return all_; }
  void start_all();

  std::vector<std::vector<std::unique_ptr<SenderProcess>>> prefillers;  // by prefiller, by rank
  std::vector<std::vector<std::unique_ptr<ReceiverProcess>>> decoders;
  std::unique_ptr<ProxyProcess> proxy;

 private:
  std::vector<Process*> all_;
};

}  // namespace baton::simulation
