// Awaits a prefiller's puts, so that its computing need not.
#pragma once

#include <absl/functional/any_invocable.h>

#include <thread>
#include <variant>

#include "baton/put_handle.h"
#include "tools/demo/blocking_queue.h"
#include "tools/demo/message_pipe.h"
#include "tools/demo/messages.h"

namespace baton::demo {

/// A thread that follows one request after the other: begin(), add() for each put, end(). Puts end
/// by their own deadlines, so every wait here ends too.
///
/// begin(), add() and end() on one thread, in this order.
class PutCollector {
 public:
  /// Called on the collector's thread once for each end().
  using OnEnded = absl::AnyInvocable<void(const PutsEnded&)>;

  explicit PutCollector(OnEnded on_ended);
  ~PutCollector() { close(); }
  PutCollector(const PutCollector&) = delete;
  PutCollector& operator=(const PutCollector&) = delete;

  /// `request`: index, chunks_total and admission_ms; the rest is found out here.
  void begin(PutsEnded request) { events_.push(std::move(request)); }
  void add(PutHandle put, Clock::time_point submitted) { events_.push(Put{put, submitted}); }
  /// All puts of the request are submitted, or `status` says why there are no more.
  void end(const Status& status) { events_.push(status); }

  /// Returns when everything added has been told. Idempotent.
  void close();

 private:
  struct Put {
    PutHandle handle;
    Clock::time_point submitted;
  };
  using Event = std::variant<PutsEnded, Put, Status>;

  void run();
  void await(const Put& put);

  OnEnded on_ended_;
  BlockingQueue<Event> events_;
  // Of the request that is being followed; on the thread only.
  PutsEnded request_;
  Clock::time_point first_submitted_{};
  std::thread thread_;
};

}  // namespace baton::demo
