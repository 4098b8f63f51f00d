#include "src/sender/put_state.h"

#include <fmt/format.h>

#include <utility>

namespace baton::detail {

void PutState::finish(Status status, const PutStats& stats) {
  {
    const MutexLock lock(mutex_);
    stats_ = stats;
    status_ = std::move(status);
  }
  ended_.notify_all();
}

// condition_variable_any unlocks and locks the mutex behind the analysis's back.
Status PutState::wait(std::optional<std::chrono::milliseconds> timeout)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::unique_lock<Mutex> lock(mutex_);
  if (!status_.has_value() && loop_.on_loop()) {
    return absl::FailedPreconditionError(
        std::string("waiting for a put inside one of Baton's callbacks would never end"));
  }
  const auto ended = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return status_.has_value(); };
  if (!timeout.has_value()) {
    ended_.wait(lock, ended);
  } else if (!ended_.wait_for(lock, *timeout, ended)) {
    return absl::DeadlineExceededError(
        fmt::format("the put has not ended after {} ms", timeout->count()));
  }
  return *status_;
}

bool PutState::done() const {
  const MutexLock lock(mutex_);
  return status_.has_value();
}

PutStats PutState::stats() const {
  const MutexLock lock(mutex_);
  return stats_;
}

}  // namespace baton::detail

namespace baton {

Status PutHandle::wait(std::chrono::milliseconds timeout) const {
  return state_->wait(timeout);
}
Status PutHandle::wait() const {
  return state_->wait(std::nullopt);
}
bool PutHandle::done() const {
  return state_->done();
}
PutStats PutHandle::stats() const {
  return state_->stats();
}

}  // namespace baton
