// From Baton's progress thread to Python's dispatcher: numbers and statuses, nothing of Python's.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "baton/status.h"
#include "src/base/thread_annotations.h"

namespace baton::python {

/// The end of a put, by the ticket that it was submitted with.
struct Completion {
  std::uint64_t ticket = 0;
  Status status;
};

/// Bounded by the puts whose end was not dispatched; PDBackend refuses more than pd_max_puts.
///
/// Threads: any. push() never waits and needs no GIL.
class CompletionQueue {
 public:
  void push(Completion completion);
  /// Waits for completions; none come once stop() was called and all were taken.
  std::vector<Completion> take();
  void stop();

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<Completion> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

/// Reports the end of one put exactly once, also if it is dropped without having been told.
class Report {
 public:
  Report(std::shared_ptr<CompletionQueue> queue, std::uint64_t ticket, std::size_t keys)
      : queue_(std::move(queue)), ticket_(ticket), keys_left_(keys) {}
  Report(Report&&) noexcept = default;
  Report& operator=(Report&&) noexcept = delete;
  ~Report();

  /// Called once for each key; all keys of a put have the put's own status.
  void key_done(const Status& status);

 private:
  std::shared_ptr<CompletionQueue> queue_;
  std::uint64_t ticket_;
  std::size_t keys_left_;
};

}  // namespace baton::python
