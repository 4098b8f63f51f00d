// How much is being written to one receiver at a time.
#pragma once

#include <cstddef>
#include <deque>
#include <utility>

#include "src/base/scheduler.h"

namespace baton::sender {

/// Bounds the bytes under way to one receiver, and lets puts that wait for room take turns, first
/// come, first served: so a put waits for one window at most, however many large ones there are.
/// On the loop.
class WriteWindow {
 public:
  explicit WriteWindow(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  /// True: `bytes` are under way now, until leave(). False: `turn` is called, in a leave(), when it
  /// is time to ask again. Whoever asks inside its turn is not behind the others, once.
  bool enter(std::size_t bytes, Task turn) {
    const bool has_turn = std::exchange(serving_, false);
    // Alone, anything goes: no slice may be too large for ever.
    const bool fits = used_bytes_ == 0 || used_bytes_ + bytes <= max_bytes_;
    if (fits && (has_turn || waiting_.empty())) {
      used_bytes_ += bytes;
      return true;
    }
    if (has_turn) {
      waiting_.push_front(std::move(turn));  // It has not had it.
    } else {
      waiting_.push_back(std::move(turn));
    }
    return false;
  }

  void leave(std::size_t bytes) {
    used_bytes_ -= bytes;
    // Each of these takes some room, or goes back to the front, or has ended meanwhile.
    for (std::size_t left = waiting_.size(); left > 0 && used_bytes_ < max_bytes_; --left) {
      Task turn = std::move(waiting_.front());
      waiting_.pop_front();
      const std::size_t before = used_bytes_;
      serving_ = true;
      turn();
      const bool was_used = !std::exchange(serving_, false);
      if (was_used && used_bytes_ == before) {
        return;  // What is in front doesn't fit yet.
      }
    }
  }

  std::size_t used_bytes() const { return used_bytes_; }

 private:
  const std::size_t max_bytes_;
  std::size_t used_bytes_ = 0;
  bool serving_ = false;
  std::deque<Task> waiting_;
};

}  // namespace baton::sender
