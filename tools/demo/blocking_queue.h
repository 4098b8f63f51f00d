// Hands values from thread to thread.
#pragma once

#include <deque>
#include <optional>
#include <utility>

#include "src/base/thread_annotations.h"

namespace baton::demo {

/// First in, first out. What bounds it is the proxy's window of open requests.
template <typename T>
class BlockingQueue {
 public:
  void push(T value) {
    {
      const MutexLock lock(mutex_);
      values_.push_back(std::move(value));
    }
    changed_.notify_one();
  }

  /// No more values will come.
  void close() {
    {
      const MutexLock lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }

  /// Waits for a value; nothing once the queue is closed and empty.
  std::optional<T> pop() {
    const MutexLock lock(mutex_);
    while (values_.empty() && !closed_) {
      changed_.wait(mutex_);
    }
    if (values_.empty()) {
      return std::nullopt;
    }
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<T> values_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace baton::demo
