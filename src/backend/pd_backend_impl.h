// What PdBackend hides: its options, its stack, and the gate that close() and change_role() shut.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "baton/pd_backend.h"
#include "src/backend/stack.h"
#include "src/base/thread_annotations.h"

namespace baton {

/// What a call is for.
enum class Half : std::uint8_t { kAny, kSender, kReceiver };

class PdBackend::Impl {
 public:
  Impl(Options options, CacheLayout layout, std::unique_ptr<Stack> stack);

  /// A call's hold on the stack: nothing takes it down meanwhile. So short that close() and
  /// change_role() can wait for it: a call gives it back before it waits for anything.
  class Use {
   public:
    Use(Impl& impl, Stack& stack, const Options& options)
        : impl_(&impl), stack_(&stack), options_(&options) {}
    ~Use();
    Use(Use&& other) noexcept
        : impl_(std::exchange(other.impl_, nullptr)),
          stack_(other.stack_),
          options_(other.options_) {}
    Use& operator=(Use&&) = delete;

    Stack& stack() const { return *stack_; }
    /// With the role of now.
    const Options& options() const { return *options_; }
    /// The role has that half.
    Status check(Half needed) const;
    /// On the progress thread nothing may be waited for.
    Status check_may_wait() const;
    /// Runs on the loop, with this stack.
    template <typename Work>
    void post(Work work) const {
      stack_->loop().post([stack = stack_, work = std::move(work)]() mutable { work(*stack); });
    }

   private:
    Impl* impl_;
    Stack* stack_;
    const Options* options_;
  };

  /// kFailedPrecondition when closed, or if the role hasn't that half; kUnavailable while the role
  /// changes.
  StatusOr<Use> use(Half needed);

  /// Runs `work` on the loop and waits for its result.
  template <typename Work, typename Result = std::invoke_result_t<Work, Stack&>>
  StatusOr<Result> call(Half needed, Work work) {
    std::promise<Result> promise;
    auto result = promise.get_future();
    {
      auto used = use(needed);
      if (!used.ok()) {
        return used.status();
      }
      if (Status fine = used->check_may_wait(); !fine.ok()) {
        return fine;
      }
      used->post([&](Stack& stack) { promise.set_value(work(stack)); });
    }
    return result.get();
  }

  Status change_role(Role role);
  void close();

  /// A place among pd_max_puts, or nothing.
  std::shared_ptr<void> take_slot(const Use& use);

  Role role();
  std::vector<std::string> transports();
  std::uint16_t init_port();
  std::uint16_t alloc_port();
  std::uint16_t query_port();

  const CacheLayout layout_;

 private:
  enum class Gate : std::uint8_t { kOpen, kChanging, kClosed };

  /// As configured, but for the role and what goes with it.
  Options options_for(Role role) const;
  /// In place of what was there; the gate is shut, or nobody knows the backend yet.
  void install(std::unique_ptr<Stack> stack, Options options);
  /// Shuts the gate, and waits until nobody is inside.
  Status shut(Gate gate);
  void open_again();

  const Options configured_;
  const std::shared_ptr<std::atomic<std::uint32_t>> slots_ =
      std::make_shared<std::atomic<std::uint32_t>>(0);
  Mutex mutex_;
  CondVar changed_;
  Gate gate_ ABSL_GUARDED_BY(mutex_) = Gate::kOpen;
  std::uint32_t users_ ABSL_GUARDED_BY(mutex_) = 0;
  // Replaced only while the gate is shut and nobody is inside; so a Use may look at them.
  Options options_;
  std::unique_ptr<Stack> stack_;
  // What can be asked at any time.
  /// The progress thread, while there is one.
  std::thread::id loop_thread_ ABSL_GUARDED_BY(mutex_);
  Role role_ ABSL_GUARDED_BY(mutex_) = Role::kReceiver;
  std::vector<std::string> transports_ ABSL_GUARDED_BY(mutex_);
  std::uint16_t init_port_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint16_t alloc_port_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint16_t query_port_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace baton
