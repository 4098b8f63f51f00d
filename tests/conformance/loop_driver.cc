#include "tests/conformance/loop_driver.h"

#include <cstdlib>
#include <utility>

namespace baton::conformance {
namespace {

// Far more than any test needs, also under sanitizers on a busy machine.
constexpr std::chrono::seconds kPatience{60};

}  // namespace

void VirtualDriver::run(Task task) {
  bool ran = false;
  scheduler_.post([&] {
    task();
    ran = true;
  });
  scheduler_.run_until([&] { return ran; });
}

bool VirtualDriver::run_until(const std::function<bool()>& condition) {
  return scheduler_.run_until(condition, 100'000'000);
}

EventLoopDriver::EventLoopDriver() {
  auto loop = EventLoop::create("conformance");
  if (!loop.ok()) {
    std::abort();
  }
  loop_ = *std::move(loop);
  loop_->start();
}

EventLoopDriver::~EventLoopDriver() {
  stop();
}

void EventLoopDriver::run(Task task) {
  loop_->run_sync(std::move(task));
}

bool EventLoopDriver::run_until(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    std::uint64_t seen = 0;
    {
      const MutexLock lock(mutex_);
      seen = changes_;
    }
    bool holds = false;
    run([&] { holds = condition(); });
    if (holds) {
      return true;
    }
    const MutexLock lock(mutex_);
    while (changes_ == seen) {
      if (cond_.wait_until(mutex_, deadline) == std::cv_status::timeout) {
        return false;
      }
    }
  }
}

void EventLoopDriver::changed() {
  {
    const MutexLock lock(mutex_);
    ++changes_;
  }
  cond_.notify_all();
}

void EventLoopDriver::stop() {
  loop_->stop();
}

}  // namespace baton::conformance
