// What PdBackend hides: its options, its stack, and the gate that close() shuts.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "baton/pd_backend.h"
#include "src/backend/stack.h"
#include "src/base/thread_annotations.h"

namespace baton {

class PdBackend::Impl {
 public:
  Impl(Options options, CacheLayout layout, std::unique_ptr<Stack> stack)
      : options_(std::move(options)),
        layout_(std::move(layout)),
        stack_(std::move(stack)),
        transports_(stack_->transport_names()) {
    if (options_.pd_role == Role::kReceiver) {
      stack_->loop().run_sync([this] {
        init_port_ = port_of(stack_->receiver().init_endpoint());
        alloc_port_ = port_of(stack_->receiver().alloc_endpoint());
        if (const std::string query = stack_->receiver().query_endpoint(); !query.empty()) {
          query_port_ = port_of(query);
        }
      });
    }
  }

  Status check_role(Role needed) const {
    if (options_.pd_role == needed) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(fmt::format("this needs pd_role {}, the backend is a {}",
                                                     role_name(needed),
                                                     role_name(options_.pd_role)));
  }

  Status check_open(Role needed) {
    {
      const MutexLock lock(mutex_);
      if (closed_) {
        return closed_error();
      }
    }
    return check_role(needed);
  }

  /// Runs on the loop, before close() begins; false once it has begun (the task is dropped).
  bool post(Task task) {
    const MutexLock lock(mutex_);
    if (closed_) {
      return false;
    }
    stack_->loop().post(std::move(task));
    return true;
  }

  /// Runs `work` on the loop and waits for its result.
  template <typename Work, typename Result = std::invoke_result_t<Work, Stack&>>
  StatusOr<Result> call(Work work) {
    std::promise<Result> promise;
    auto result = promise.get_future();
    if (Status fine = check_may_wait(); !fine.ok()) {
      return fine;
    }
    if (!post([&] { promise.set_value(work(*stack_)); })) {
      return closed_error();
    }
    return result.get();
  }

  Status check_may_wait() {
    const MutexLock lock(mutex_);
    if (closed_) {
      return closed_error();
    }
    if (stack_->loop().on_loop()) {
      return absl::FailedPreconditionError(
          std::string("a call that waits was made inside one of Baton's callbacks; it would wait "
                      "for itself"));
    }
    return absl::OkStatus();
  }

  void close() {
    {
      const MutexLock lock(mutex_);
      if (std::exchange(closed_, true)) {
        return;
      }
    }
    stack_->close();
  }

  /// A place among pd_max_puts, or nothing.
  std::shared_ptr<void> take_put_slot() {
    if (puts_->fetch_add(1) >= options_.pd_max_puts) {
      puts_->fetch_sub(1);
      return nullptr;
    }
    return {this, [puts = puts_](void*) { puts->fetch_sub(1); }};
  }

  static Status closed_error() {
    return absl::FailedPreconditionError(std::string("the backend is closed"));
  }

  const Options options_;
  const CacheLayout layout_;
  const std::unique_ptr<Stack> stack_;
  const std::vector<std::string> transports_;
  std::uint16_t init_port_ = 0;
  std::uint16_t alloc_port_ = 0;
  std::uint16_t query_port_ = 0;

 private:
  static const char* role_name(Role role) { return role == Role::kSender ? "sender" : "receiver"; }
  static std::uint16_t port_of(const std::string& endpoint) {
    return static_cast<std::uint16_t>(std::stoul(endpoint.substr(endpoint.rfind(':') + 1)));
  }

  const std::shared_ptr<std::atomic<std::uint32_t>> puts_ =
      std::make_shared<std::atomic<std::uint32_t>>(0);
  Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace baton
