// Tells the proxy that decode may start.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "baton/status.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/control/control.h"

namespace baton::sender {

/// Sends each ProxyNotif at most once, to the incarnation of the proxy that was there when the
/// request began: its successor may use the same request ids for other requests. On the loop.
class Notifier {
 public:
  /// An empty endpoint: nobody is told, and every notice succeeds.
  static StatusOr<std::unique_ptr<Notifier>> create(Scheduler& scheduler, control::Network& network,
                                                    const std::string& endpoint);

  std::uint64_t incarnation() const { return push_ == nullptr ? 0 : push_->incarnation(); }

  using Done = absl::AnyInvocable<void(Status)>;
  using NoticeId = std::uint64_t;
  /// `done` may be called inside this call. While no proxy has connected yet, waits until
  /// `deadline`.
  NoticeId notify(std::string req_id, std::uint64_t incarnation, TimePoint deadline, Done done);
  /// Forgets a notice that waits; its `done` is not called. Nothing happens if it doesn't wait.
  void forget(NoticeId notice);

 private:
  struct Waiting {
    NoticeId id;
    std::string req_id;
    std::uint64_t incarnation;
    TimerId timer;
    Done done;
  };

  Notifier(Scheduler& scheduler, std::string endpoint)
      : scheduler_(scheduler), endpoint_(std::move(endpoint)) {}

  Status try_send(const std::string& req_id, std::uint64_t incarnation);
  void on_writable();

  Scheduler& scheduler_;
  const std::string endpoint_;
  std::unique_ptr<control::Push> push_;
  std::list<Waiting> waiting_;
  NoticeId last_id_ = 0;
  Lifetime lifetime_;
};

}  // namespace baton::sender
