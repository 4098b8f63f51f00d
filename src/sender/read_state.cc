#include "src/sender/read_state.h"

#include <fmt/format.h>

#include <utility>

namespace baton::detail {

void ReadState::finish(StatusOr<ReadResult> result) {
  {
    const MutexLock lock(mutex_);
    result_ = std::move(result);
  }
  ended_.notify_all();
}

// condition_variable_any unlocks and locks the mutex behind the analysis's back.
StatusOr<ReadResult> ReadState::wait(std::optional<std::chrono::milliseconds> timeout)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::unique_lock<Mutex> lock(mutex_);
  if (!result_.has_value() && loop_.on_loop()) {
    return absl::FailedPreconditionError(
        std::string("waiting for a read inside one of Baton's callbacks would never end"));
  }
  const auto ended = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return result_.has_value(); };
  if (!timeout.has_value()) {
    ended_.wait(lock, ended);
  } else if (!ended_.wait_for(lock, *timeout, ended)) {
    return absl::DeadlineExceededError(
        fmt::format("the read has not ended after {} ms", timeout->count()));
  }
  return *result_;
}

bool ReadState::done() const {
  const MutexLock lock(mutex_);
  return result_.has_value();
}

}  // namespace baton::detail

namespace baton {

StatusOr<ReadResult> ReadHandle::wait(std::chrono::milliseconds timeout) const {
  return state_->wait(timeout);
}
StatusOr<ReadResult> ReadHandle::wait() const {
  return state_->wait(std::nullopt);
}
bool ReadHandle::done() const {
  return state_->done();
}

}  // namespace baton
