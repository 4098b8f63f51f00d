// What a forked child must not touch: it has none of Baton's threads, and its copies of Baton's
// locks may be held for ever.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "baton/status.h"
#include "python/src/status.h"

namespace baton::python {

/// How often this process came out of a fork with the module loaded. Raised in the child, by
/// os.register_at_fork.
inline std::atomic<std::uint64_t> fork_generation{0};

/// Holds a T of Baton's. In a forked child get() raises FailedPrecondition, and the T is leaked on
/// purpose: its destructor would take locks, wait for threads, or speak on the parent's sockets.
template <typename T>
class ForkGuard {
 public:
  explicit ForkGuard(std::unique_ptr<T> value) : value_(std::move(value)) {}
  explicit ForkGuard(T value) : value_(std::make_unique<T>(std::move(value))) {}
  ForkGuard(ForkGuard&&) noexcept = default;
  ForkGuard& operator=(ForkGuard&&) noexcept = delete;
  ~ForkGuard() {
    if (forked()) {
      static_cast<void>(value_.release());
    }
  }

  bool forked() const { return generation_ != fork_generation.load(std::memory_order_relaxed); }

  T& get() const {
    if (forked()) {
      raise(absl::FailedPreconditionError(std::string(
          "this process was forked after the object was made; make a backend of its own here")));
    }
    return *value_;
  }

  void reset() {
    if (!forked()) {
      value_.reset();
    }
  }

 private:
  std::unique_ptr<T> value_;
  std::uint64_t generation_ = fork_generation.load(std::memory_order_relaxed);
};

}  // namespace baton::python
