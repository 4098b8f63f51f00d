#include "tests/simulation/model/call_watch.h"

#include <fmt/format.h>

#include <utility>

namespace baton::simulation {
namespace {

/// What turns and messages may take beyond the deadlines themselves.
constexpr Duration kSlack = std::chrono::milliseconds(20);

}  // namespace

CallWatch::CallId CallWatch::begin(const ProcessScheduler& process, std::string what,
                                   Duration bound) {
  const CallId id = ++last_id_;
  const TimePoint due = clock_.now() + bound + kSlack;
  const TimerId timer = clock_.run_at(due, lifetime_.guard([this, id] { on_due(id); }));
  calls_.emplace(id, Call{&process, std::move(what), due, process.paused(), timer});
  return id;
}

void CallWatch::end(CallId call) {
  const auto found = calls_.find(call);
  if (found == calls_.end()) {
    verdict_.broken(Promise::kP5, fmt::format("call {} was called back twice, or after its process "
                                              "had crashed",
                                              call));
    return;
  }
  clock_.cancel(found->second.timer);
  calls_.erase(found);
}

void CallWatch::on_due(CallId call) {
  Call& late = calls_.at(call);
  const Duration paused = late.process->paused() - late.paused_before;
  if (paused > Duration::zero()) {
    late.paused_before = late.process->paused();
    late.due = clock_.now() + paused;
    late.timer = clock_.run_at(late.due, lifetime_.guard([this, call] { on_due(call); }));
    return;
  }
  verdict_.broken(Promise::kP5, fmt::format("{} was not called back in time", late.what));
}

void CallWatch::forgive(const ProcessScheduler& process) {
  std::erase_if(calls_, [&](const auto& entry) {
    if (entry.second.process != &process) {
      return false;
    }
    clock_.cancel(entry.second.timer);
    return true;
  });
}

}  // namespace baton::simulation
