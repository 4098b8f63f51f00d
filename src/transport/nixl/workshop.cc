#include "src/transport/nixl/workshop.h"

#include <fmt/format.h>

#include <exception>
#include <system_error>
#include <utility>

namespace baton::transport::nixl {

Workshop::~Workshop() {
  for (auto& [id, job] : jobs_) {
    if (job->thread.joinable()) {
      job->thread.join();
    }
  }
}

void Workshop::make(absl::AnyInvocable<MadeAgent()> make,
                    absl::AnyInvocable<void(MadeAgent)> made) {
  auto job = std::make_unique<Job>();
  job->make = std::move(make);
  job->over = [result = &job->agent, made = std::move(made)]() mutable {
    made(std::move(*result));
  };
  start(std::move(job));
}

void Workshop::bury(std::unique_ptr<Agent> agent, Task gone) {
  auto job = std::make_unique<Job>();
  job->agent = std::move(agent);
  job->over = std::move(gone);
  start(std::move(job));
}

void Workshop::start(std::unique_ptr<Job> owned) {
  const std::uint64_t id = ++last_;
  Job& job = *(jobs_[id] = std::move(owned));
  // What is posted owns nothing: the job stays here until its turn comes.
  auto over = lifetime_.guard([this, id] {
    const auto found = jobs_.extract(id);
    if (found.mapped()->thread.joinable()) {
      found.mapped()->thread.join();  // It has nothing left to do.
    }
    found.mapped()->over();
  });
  auto body = [&job, &reactor = reactor_, over]() mutable {
    try {
      job.agent = job.make ? job.make() : std::unique_ptr<Agent>();
    } catch (const std::exception& error) {  // Nobody else would catch it on a thread.
      job.agent =
          absl::ResourceExhaustedError(fmt::format("can't make a NIXL agent: {}", error.what()));
    }
    reactor.post(std::move(over));
  };
  try {
    job.thread = std::thread(body);
  } catch (const std::system_error& /*there is no thread for it*/) {
    body();
  }
}

}  // namespace baton::transport::nixl
