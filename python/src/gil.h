// Letting go of the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace baton::python {

/// Threads that are in Baton without the GIL. The interpreter's end must not come before they have
/// it back: taking it then ends the thread, inside a destructor, and with it the process.
class Inside {
 public:
  Inside() {
    const std::lock_guard lock(mutex());
    ++count();
  }
  ~Inside() {
    const std::lock_guard lock(mutex());
    --count();
    changed().notify_all();
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  /// In a forked child, where those threads are not.
  static void forget() { count() = 0; }

  /// From now on nobody lets go of the GIL: the interpreter ends. With the GIL.
  static void leave() { leaving() = true; }
  static bool may_unlock() { return !leaving(); }
  /// Without the GIL; at most `limit`.
  static void wait_for_none(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex());
    changed().wait_for(lock, limit, [] { return count() == 0; });
  }

 private:
  // Never destroyed: threads may come out while the process ends.
  static std::mutex& mutex() {
    static auto* const made = new std::mutex();
    return *made;
  }
  static std::condition_variable& changed() {
    static auto* const made = new std::condition_variable();
    return *made;
  }
  static int& count() {
    static int threads = 0;
    return threads;
  }
  static bool& leaving() {
    static bool at_exit = false;
    return at_exit;
  }
};

/// Makes the call without the GIL; at exit, when no call waits any more, with it.
template <typename Call>
auto unlocked(Call call) {
  if (!Inside::may_unlock()) {
    return call();
  }
  const Inside inside;  // begins and ends with the GIL
  const pybind11::gil_scoped_release release;
  return call();
}

}  // namespace baton::python
