// When to ask NIXL next how its transfers are doing.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>

#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/base/unique_fd.h"

namespace baton::transport::nixl {

/// Asks in every turn for a while, then with pauses of an eighth of the time for which nothing has
/// moved: what is quick is seen at once, what is slow a little after its end, and what stands still
/// costs little. Nothing runs while nothing is under way. On the loop only.
class Pacer {
 public:
  enum class Answer : std::uint8_t { kIdle, kMoved, kWaiting };
  struct Paces {
    Duration spin;
    Duration min_pause;
    Duration max_pause;
  };

  /// `ask` is called from the loop, never from inside start(). Must not destroy the Pacer.
  Pacer(Reactor& reactor, const Paces& paces, absl::AnyInvocable<Answer()> ask);
  ~Pacer();
  Pacer(const Pacer&) = delete;
  Pacer& operator=(const Pacer&) = delete;

  /// Something is under way that was not before.
  void start();

 private:
  void turn_later();
  void turn();
  void pause(Duration length);

  Reactor& reactor_;
  const Paces paces_;
  absl::AnyInvocable<Answer()> ask_;
  UniqueFd timer_;  // the loop's own timers count milliseconds
  bool turn_posted_ = false;
  bool paused_ = false;
  TimePoint still_since_;
  Lifetime lifetime_;
};

}  // namespace baton::transport::nixl
