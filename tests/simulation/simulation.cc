#include "tests/simulation/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "tests/simulation/engine/fault_planner.h"
#include "tests/simulation/engine/fleet.h"
#include "tests/simulation/engine/readers.h"
#include "tests/simulation/engine/visitors.h"
#include "tests/simulation/world/timing.h"
#include "tests/simulation/world/world.h"

namespace baton::simulation {
namespace {

/// Far beyond any run: a livelock.
constexpr std::uint64_t kMaxEvents = 2'000'000;
/// How often all pages are wanted back in the end: a link that comes up afterwards asks for some
/// anew, and a handshake that goes back to the time of faults may fail.
constexpr std::uint32_t kRecalls = 3;

class Simulation {
 public:
  Simulation(std::uint64_t seed, const Options& options)
      : world_(seed, make_profile(seed, options.faults), options.verbose),
        fleet_(world_),
        workload_(world_, fleet_, world_.random.fork()),
        visitors_(world_, fleet_, world_.random.fork()),
        faults_(world_, fleet_, workload_, world_.random.fork()),
        // Of its own, so that seeds without readers are what they were without this line.
        readers_(world_, fleet_, Random(seed * 0xBF58476D1CE4E5B9U + 1)) {}

  Result run();

 private:
  bool broken() { return world_.checker.verdict().violation().has_value(); }
  /// False if nothing is left to happen.
  bool step();
  template <typename Condition>
  void run_until(Condition condition);
  void stop_faults();
  /// Pages ahead of senders that live count as settled until they are wanted back.
  std::string unsettled(bool ahead_too) const;
  void recall_all_pages(std::uint32_t round);
  void want_all_pages(std::uint32_t round);
  bool has_all_pages() const;
  void give_pages_back();
  void check_end();

  World world_;
  Fleet fleet_;
  Workload workload_;
  Visitors visitors_;
  FaultPlanner faults_;
  Readers readers_;
  std::vector<std::pair<SenderProcess*, sender::RequestKey>> wanted_;
  std::vector<std::shared_ptr<StagingReservation>> staging_;
};

bool Simulation::step() {
  world_.touched.clear();
  if (!world_.clock.step()) {
    return false;
  }
  workload_.count_event();
  for (const std::string& process : world_.touched) {
    world_.checker.after_turn(process);
  }
  if (workload_.events() > kMaxEvents) {
    world_.checker.broken(Promise::kP5, fmt::format("no end after {} events", kMaxEvents));
  }
  return true;
}

template <typename Condition>
void Simulation::run_until(Condition condition) {
  while (!broken() && !condition() && step()) {
  }
}

Result Simulation::run() {
  fleet_.start_all();
  workload_.start();
  visitors_.start();
  if (world_.profile.reads) {
    readers_.start();
  }
  while (!broken() && !workload_.all_arrived() && step()) {
    faults_.after_event();
  }
  stop_faults();
  const TimePoint bound = world_.clock.now() + kSettleBound;
  run_until([&] { return workload_.all_done() || world_.clock.now() > bound; });
  visitors_.stop();
  readers_.stop();
  run_until([&] { return unsettled(false).empty() || world_.clock.now() > bound; });
  for (std::uint32_t round = 1; round <= kRecalls && unsettled(false).empty(); ++round) {
    if (!broken() && !unsettled(true).empty()) {
      recall_all_pages(round);
    }
  }
  if (!broken()) {
    check_end();
  }
  Result result;
  result.events = workload_.events();
  result.requests = workload_.outcomes();
  result.violation = world_.checker.verdict().violation();
  result.history_digest = world_.history.digest();
  result.coverage = world_.coverage;
  return result;
}

void Simulation::stop_faults() {
  world_.history.note("", "the faults stop");
  world_.conditions.calm();
  fleet_.start_all();
}

/// What is not as it was at the start, but for retained chunks; "" if nothing.
std::string Simulation::unsettled(bool ahead_too) const {
  for (const auto& group : fleet_.prefillers) {
    for (const auto& process : group) {
      const auto stats = process->sender().stats();
      const auto staging = process->staging().counts();
      if (stats.requests + stats.puts + stats.reads > 0 || staging.free != staging.total ||
          staging.reserved + staging.waiting > 0) {
        return fmt::format(
            "sender {}: {} requests, {} puts, {} reads; of {} staging pages {} are free, {} "
            "reserved; {} reservations wait",
            process->name(), stats.requests, stats.puts, stats.reads, staging.total, staging.free,
            staging.reserved, staging.waiting);
      }
    }
  }
  for (const auto& group : fleet_.decoders) {
    for (const auto& process : group) {
      const auto stats = process->receiver().stats();
      if (stats.requests + stats.reads > 0 ||
          stats.pages.free + stats.pages.retained + (ahead_too ? 0 : stats.pages.ahead) !=
              stats.pages.total ||
          stats.pages.reserved > 0) {
        return fmt::format(
            "receiver {}: {} requests, {} reads; of {} pages {} are free, {} ahead, {} granted, {} "
            "held, {} retained, {} quarantined, {} reserved",
            process->name(), stats.requests, stats.reads, stats.pages.total, stats.pages.free,
            stats.pages.ahead, stats.pages.granted, stats.pages.held, stats.pages.retained,
            stats.pages.quarantined, stats.pages.reserved);
      }
    }
  }
  return "";
}

void Simulation::recall_all_pages(std::uint32_t round) {
  want_all_pages(round);
  const TimePoint last = world_.clock.now() + kAdmissionTimeout;
  run_until([&] { return has_all_pages() || world_.clock.now() > last; });
  give_pages_back();
  const TimePoint end = world_.clock.now() + kAdmissionTimeout;
  run_until([&] { return unsettled(true).empty() || world_.clock.now() > end; });
}

/// The last prefiller asks each decoder for every page that it has, in requests that fit into its
/// staging: they are only there at the same time if whoever has some ahead gives them back.
void Simulation::want_all_pages(std::uint32_t round) {
  for (std::size_t i = 0; i < fleet_.decoders.size(); ++i) {
    for (std::uint32_t rank = 0; rank < world_.profile.ranks; ++rank) {
      SenderProcess& asker = *fleet_.prefillers.back()[rank];
      for (std::uint32_t left = world_.profile.receiver_pages; left > 0;) {
        sender::OpenSpec spec;
        spec.receiver = fleet_.decoders[i][rank]->address();
        spec.key = {fmt::format("all-of-d{}-but-{}", i, left), round};
        spec.total_chunks = std::min(left, world_.profile.staging_pages);
        spec.timeout = 2 * kAdmissionTimeout;
        left -= spec.total_chunks;
        wanted_.push_back({&asker, spec.key});
        asker.sender().open(std::move(spec), [this](auto opened) {
          if (opened.ok()) {
            staging_.push_back(*std::move(opened));  // The next may wait for it.
          }
        });
      }
    }
  }
}

bool Simulation::has_all_pages() const {
  return std::ranges::all_of(fleet_.decoders, [](const auto& group) {
    return std::ranges::all_of(group, [](const auto& process) {
      const auto pages = process->receiver().stats().pages;
      return pages.reserved == pages.total;
    });
  });
}

void Simulation::give_pages_back() {
  staging_.clear();
  const auto wanted = std::exchange(wanted_, {});
  for (const auto& [asker, key] : wanted) {
    asker->sender().cancel(key.req_id, absl::CancelledError("it has seen all pages"));
  }
}

void Simulation::check_end() {
  if (!workload_.all_done()) {
    world_.checker.broken(Promise::kP5,
                          "requests are under way long after the faults have stopped");
    return;
  }
  if (const std::string left = unsettled(true); !left.empty()) {
    world_.checker.broken(Promise::kP6, left);
    return;
  }
  for (const auto& group : fleet_.decoders) {
    for (const auto& process : group) {
      process->receiver().evict_all_retained();
      const auto pages = process->receiver().stats().pages;
      if (pages.free != pages.total) {
        world_.checker.broken(Promise::kP6, fmt::format("receiver {}: {} of {} pages are free",
                                                        process->name(), pages.free, pages.total));
      }
    }
  }
  const auto outcomes = workload_.outcomes();
  if (world_.profile.level == FaultLevel::kNone && outcomes.failed + outcomes.cancelled > 0) {
    world_.checker.broken(Promise::kP4, fmt::format("{} requests failed where nothing was wrong",
                                                    outcomes.failed + outcomes.cancelled));
  }
}

}  // namespace

Result simulate(std::uint64_t seed, const Options& options) {
  return Simulation(seed, options).run();
}

}  // namespace baton::simulation
