#include "python/src/completions.h"

#include <mutex>
#include <string>

namespace baton::python {

void CompletionQueue::push(Completion completion) {
  {
    const MutexLock lock(mutex_);
    queue_.push_back(std::move(completion));
  }
  changed_.notify_one();
}

// condition_variable_any unlocks and locks the mutex behind the analysis's back.
std::vector<Completion> CompletionQueue::take() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::unique_lock<Mutex> lock(mutex_);
  changed_.wait(lock,
                [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !queue_.empty() || stopped_; });
  return std::exchange(queue_, {});
}

void CompletionQueue::stop() {
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

void Report::key_done(const Status& status) {
  if (--keys_left_ == 0) {
    queue_->push({ticket_, status});
  }
}

Report::~Report() {
  if (queue_ != nullptr && keys_left_ > 0) {
    queue_->push({ticket_, absl::CancelledError(std::string("the put was never started"))});
  }
}

}  // namespace baton::python
