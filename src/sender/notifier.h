// Tells the proxy that decode may start, or that it never will.
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
#include "src/wire/messages.h"

namespace baton::sender {

/// Sends each word at most once, to the incarnation of the proxy that was there when the request
/// began: its successor may use the same request ids for other requests. On the loop.
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
  NoticeId notify(const wire::ProxyNotif& word, std::uint64_t incarnation, TimePoint deadline,
                  Done done);
  /// For a Baton proxy only. The same rules; what can't be told in time is dropped, and so is the
  /// oldest of more than kMaxWaitingFailures.
  void tell_failure(const wire::FailNotif& word, std::uint64_t incarnation, TimePoint deadline);
  static constexpr std::size_t kMaxWaitingFailures = 1'024;
  /// Forgets a notice that waits; its `done` is not called. Nothing happens if it doesn't wait.
  void forget(NoticeId notice);

 private:
  struct Waiting {
    NoticeId id;
    std::string req_id;
    std::string bytes;
    std::uint64_t incarnation;
    TimerId timer;
    Done done;  // empty: of a failure
  };

  Notifier(Scheduler& scheduler, std::string endpoint)
      : scheduler_(scheduler), endpoint_(std::move(endpoint)) {}

  NoticeId tell(std::string req_id, std::string bytes, std::uint64_t incarnation,
                TimePoint deadline, Done done);
  Status try_send(const Waiting& notice);
  void finish(std::list<Waiting>& from, std::list<Waiting>::iterator notice, const Status& status);
  void on_writable();

  Scheduler& scheduler_;
  const std::string endpoint_;
  std::unique_ptr<control::Push> push_;
  std::list<Waiting> waiting_;
  std::size_t waiting_failures_ = 0;
  NoticeId last_id_ = 0;
  Lifetime lifetime_;
};

}  // namespace baton::sender
