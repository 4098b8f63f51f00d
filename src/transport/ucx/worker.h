// UCX's worker: the queue pairs of one peer on one rail, driven from the loop.
#pragma once

#include <ucp/api/ucp_def.h>

#include <memory>
#include <string>

#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/transport/ucx/context.h"

namespace baton::transport::ucx {

/// Progresses while there is something to do, looks a little longer where somebody waits, then
/// sleeps until UCX's event descriptor says so. Destroying it destroys its queue pairs: nothing
/// that a peer sends to them, now or later, reaches memory. On the loop only.
class Worker {
 public:
  /// What was under way may have moved, unless `health` says that the device no longer works: then
  /// the Worker has stopped. Called from the loop only, last: may destroy the Worker.
  using Progressed = absl::AnyInvocable<void(const Status& health)>;

  static StatusOr<std::unique_ptr<Worker>> create(Reactor& reactor, const Context& context,
                                                  Duration spin, Progressed progressed);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  ucp_worker_h get() const { return worker_; }
  StatusOr<std::string> address() const;

  /// After each call that gives UCX something to do.
  void wake();
  /// Progresses here and now; Progressed is not called. True if anything happened.
  bool progress_once();
  /// The same, as long as there is something to do; Progressed is called in a later turn.
  void catch_up();

 private:
  Worker(Reactor& reactor, ucp_worker_h worker, Duration spin, Progressed progressed);

  Status start();
  void turn_later();
  void turn();
  int progress_some();
  Status rest();

  Reactor& reactor_;
  ucp_worker_h worker_;
  const Duration spin_;
  Progressed progressed_;
  int event_fd_ = -1;  // the worker's own; watched
  bool turn_posted_ = false;
  TimePoint spin_until_;
  Lifetime lifetime_;
};

}  // namespace baton::transport::ucx
