// All requests of a simulation, and who else reads at the decoders.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/base/lifetime.h"
#include "tests/simulation/engine/job.h"

namespace baton::simulation {

class Workload {
 public:
  /// More than this many requests never come, however few events they make.
  static constexpr std::uint64_t kMaxRequests = 120;
  static constexpr std::uint64_t kMinEvents = 2'000;

  Workload(World& world, Fleet& fleet, Random random);

  void start() { arrive(); }
  void count_event() { ++events_; }
  std::uint64_t events() const { return events_; }
  bool all_arrived() const { return all_arrived_; }
  bool all_done() const;
  void on_crash(const Process& process);
  /// nullptr if nothing is under way.
  Job* random_live(Random& random);

  struct Outcomes {
    std::uint64_t completed = 0;
    std::uint64_t failed = 0;
    std::uint64_t cancelled = 0;
  };
  Outcomes outcomes() const;

 private:
  void arrive();

  World& world_;
  Fleet& fleet_;
  Random random_;
  std::uint64_t events_ = 0;
  bool all_arrived_ = false;
  std::vector<std::shared_ptr<Job>> jobs_;
  Lifetime lifetime_;
};

}  // namespace baton::simulation
