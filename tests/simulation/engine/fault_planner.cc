#include "tests/simulation/engine/fault_planner.h"

#include "tests/simulation/world/timing.h"
#include "tests/simulation/world/world.h"

namespace baton::simulation {
namespace {

constexpr Duration kMaxPartition = milliseconds(60);
constexpr Duration kMaxPause = milliseconds(60);

}  // namespace

void FaultPlanner::after_event() {
  const FaultRates& rates = world_.profile.rates;
  if (random_.ppm(rates.crash_sender)) {
    crash(any_of(fleet_.prefillers), Point::kCrashSender);
  }
  if (random_.ppm(rates.crash_receiver)) {
    crash(any_of(fleet_.decoders), Point::kCrashReceiver);
  }
  if (random_.ppm(rates.crash_proxy)) {
    crash(*fleet_.proxy, Point::kCrashProxy);
  }
  if (random_.ppm(rates.cut)) {
    cut();
  }
  if (random_.ppm(rates.partition)) {
    partition();
  }
  if (random_.ppm(rates.pause)) {
    pause();
  }
  if (random_.ppm(rates.cancel)) {
    if (Job* job = workload_.random_live(random_); job != nullptr) {
      world_.coverage.hit(Point::kCancelByUser);
      job->cancel();
    }
  }
  if (random_.ppm(rates.cancel_at_decoder)) {
    if (Job* job = workload_.random_live(random_); job != nullptr) {
      world_.history.note("", "FAULT a request is cancelled at its decoder");
      world_.coverage.hit(Point::kCancelAtDecoder);
      job->cancel_at_decoder();
    }
  }
}

void FaultPlanner::crash(Process& process, Point point) {
  if (!process.alive()) {
    return;
  }
  world_.history.note(process.name(), "FAULT crashes");
  world_.coverage.hit(point);
  for (const auto& group : fleet_.prefillers) {
    for (const auto& other : group) {
      if (other->alive()) {
        world_.checker.disturbed(other->epoch(), process.epoch());
      }
    }
  }
  process.crash();
  workload_.on_crash(process);
  world_.clock.run_after(random_.between(Duration(1), kMaxRestart),
                         lifetime_.guard([this, &process] {
                           if (!process.alive()) {
                             world_.coverage.hit(Point::kRestart);
                             process.start();
                           }
                         }));
}

void FaultPlanner::cut() {
  SenderProcess& from = any_of(fleet_.prefillers);
  ReceiverProcess& to = any_of(fleet_.decoders);
  if (from.alive() && to.alive()) {
    world_.history.note("", "FAULT the data connection from {} to {} is cut", from.name(),
                        to.name());
    world_.coverage.hit(Point::kCut);
    world_.checker.disturbed(from.epoch(), to.epoch());
    world_.hub.break_connection(from.epoch(), to.epoch(), absl::UnavailableError("cut"));
  }
}

void FaultPlanner::partition() {
  const Process& one = *random_.pick(fleet_.all());
  const Process& other = *random_.pick(fleet_.all());
  if (&one == &other) {
    return;
  }
  const TimePoint until = world_.clock.now() + random_.between(Duration(1), kMaxPartition);
  world_.conditions.part(one.name(), other.name(), until);
  if (random_.percent(50)) {
    world_.coverage.hit(Point::kPartition);
    world_.conditions.part(other.name(), one.name(), until);
  } else {
    world_.coverage.hit(Point::kPartitionOneWay);
  }
}

void FaultPlanner::pause() {
  Process& process = *random_.pick(fleet_.all());
  if (process.alive()) {
    const Duration length = random_.between(Duration(1), kMaxPause);
    world_.history.note(process.name(), "FAULT pauses for {} us", length.count() / 1000);
    world_.coverage.hit(Point::kPause);
    process.scheduler().pause_until(world_.clock.now() + length);
  }
}

}  // namespace baton::simulation
