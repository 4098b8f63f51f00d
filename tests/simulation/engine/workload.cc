#include "tests/simulation/engine/workload.h"

#include <algorithm>

namespace baton::simulation {

Workload::Workload(World& world, Fleet& fleet, Random random)
    : world_(world), fleet_(fleet), random_(random) {}

void Workload::arrive() {
  const std::uint64_t number = jobs_.size();
  if (number == kMaxRequests || (number >= world_.profile.requests && events_ >= kMinEvents)) {
    all_arrived_ = true;
    return;
  }
  jobs_.push_back(std::make_shared<Job>(
      world_, fleet_, number, make_prompt(random_, world_.profile, number), random_.fork()));
  jobs_.back()->start();
  world_.clock.run_after(random_.between(Duration(1), 2 * world_.profile.arrival_gap),
                         lifetime_.guard([this] { arrive(); }));
}

bool Workload::all_done() const {
  return all_arrived_ && std::ranges::all_of(jobs_, [](const auto& job) {
           return job->state() == Job::State::kDone;
         });
}

void Workload::on_crash(const Process& process) {
  for (const auto& job : jobs_) {
    job->on_crash(process);
  }
}

Job* Workload::random_live(Random& random) {
  std::vector<Job*> live;
  for (const auto& job : jobs_) {
    if (job->state() == Job::State::kPrefilling || job->state() == Job::State::kDecoding) {
      live.push_back(job.get());
    }
  }
  return live.empty() ? nullptr : random.pick(live);
}

Workload::Outcomes Workload::outcomes() const {
  Outcomes outcomes;
  for (const auto& job : jobs_) {
    switch (job->outcome()) {
      case Job::Outcome::kCompleted:
        ++outcomes.completed;
        break;
      case Job::Outcome::kFailed:
        ++outcomes.failed;
        break;
      case Job::Outcome::kCancelled:
        ++outcomes.cancelled;
        break;
    }
  }
  return outcomes;
}

}  // namespace baton::simulation
