#include "src/base/event_loop.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <future>
#include <utility>

namespace baton {
namespace {

constexpr int kEventsPerPoll = 64;
constexpr int kForeverMs = -1;

/// A wake-up takes about half of it on a virtual machine (docs/performance.md).
constexpr Duration kBriefSpin = std::chrono::microseconds(100);
/// A wait that ended sooner was part of an exchange: the next event is probably as near.
constexpr Duration kDenseWait = std::chrono::microseconds(200);

}  // namespace

StatusOr<std::unique_ptr<EventLoop>> EventLoop::create(std::string thread_name, Duration spin) {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !wake) {
    return absl::ResourceExhaustedError(
        fmt::format("can't make an event loop: {}", std::strerror(errno)));
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake.get();
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return absl::InternalError(fmt::format("epoll_ctl: {}", std::strerror(errno)));
  }
  return std::unique_ptr<EventLoop>(
      new EventLoop(std::move(thread_name), spin, std::move(epoll), std::move(wake)));
}

EventLoop::EventLoop(std::string thread_name, Duration spin, UniqueFd epoll, UniqueFd wake)
    : thread_name_(std::move(thread_name)),
      spin_(spin),
      epoll_(std::move(epoll)),
      wake_(std::move(wake)) {}

EventLoop::~EventLoop() {
  stop();
}

void EventLoop::start() {
  thread_ = std::thread([this] { run(); });
}

void EventLoop::stop() {
  std::vector<Task> abandoned;
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
    abandoned.swap(posted_);
  }
  eventfd_write(wake_.get(), 1);
  if (thread_.joinable()) {
    thread_.join();
  }
}

void EventLoop::run_sync(Task task) {
  std::promise<void> ran;
  auto done = ran.get_future();
  post([&task, &ran] {
    task();
    ran.set_value();
  });
  done.wait();
}

void EventLoop::post(Task task) {
  bool must_wake = false;
  {
    const MutexLock lock(mutex_);
    if (stopped_) {
      return;
    }
    posted_.push_back(std::move(task));
    must_wake = std::exchange(sleeps_, false);
  }
  // The loop looks at the queue before it sleeps, and all the time while it spins.
  if (must_wake) {
    eventfd_write(wake_.get(), 1);
  }
}

TimerId EventLoop::run_at(TimePoint when, Task task) {
  const TimerId id = next_timer_++;
  timers_.emplace(std::pair(when, id), std::move(task));
  timer_times_.emplace(id, when);
  return id;
}

void EventLoop::cancel(TimerId timer) {
  const auto found = timer_times_.find(timer);
  if (found != timer_times_.end()) {
    timers_.erase({found->second, timer});
    timer_times_.erase(found);
  }
}

bool EventLoop::on_loop() const {
  return thread_id_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

void EventLoop::watch(int fd, std::uint32_t events, Ready ready) {
  watches_[fd] = std::make_shared<Watch>(Watch{std::move(ready)});
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    std::abort();  // An fd that is no fd, or watched twice: a bug of ours.
  }
}

void EventLoop::rewatch(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
    std::abort();
  }
}

void EventLoop::unwatch(int fd) {
  if (watches_.erase(fd) > 0) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }
}

void EventLoop::run() {
  thread_id_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  pthread_setname_np(pthread_self(), thread_name_.substr(0, 15).c_str());
  while (true) {
    {
      const MutexLock lock(mutex_);
      if (stopped_) {
        break;
      }
    }
    run_posted();
    run_due_timers();
    poll_descriptors(wait_ms());
  }
  // What is left may own things that expect to be destroyed on the loop.
  timers_.clear();
  watches_.clear();
}

void EventLoop::run_posted() {
  std::vector<Task> batch;
  {
    const MutexLock lock(mutex_);
    batch.swap(posted_);
  }
  for (Task& task : batch) {
    task();
    task = nullptr;  // Captures die in the task's own turn.
  }
}

void EventLoop::run_due_timers() {
  const TimePoint time = now();
  while (!timers_.empty() && timers_.begin()->first.first <= time) {
    auto node = timers_.extract(timers_.begin());
    timer_times_.erase(node.key().second);
    node.mapped()();
  }
}

bool EventLoop::has_posted() const {
  const MutexLock lock(mutex_);
  return !posted_.empty() || stopped_;
}

int EventLoop::wait_ms() const {
  if (has_posted()) {
    return 0;
  }
  if (timers_.empty()) {
    return kForeverMs;
  }
  const auto left = timers_.begin()->first.first - now();
  const auto left_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<std::int64_t>(left_ms, 0, 60'000));
}

int EventLoop::sleep(std::span<epoll_event> events) {
  {
    const MutexLock lock(mutex_);
    sleeps_ = posted_.empty() && !stopped_;
    if (!sleeps_) {
      return 0;
    }
  }
  const int count =
      epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms());
  const MutexLock lock(mutex_);
  sleeps_ = false;
  return count;
}

int EventLoop::wait_for_events(std::span<epoll_event> events, int timeout_ms) {
  const auto poll = [&] {
    return epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  };
  if (timeout_ms == 0) {
    return poll();
  }
  const TimePoint begun = now();
  const Duration spin = std::max(spin_, events_are_dense_ ? kBriefSpin : Duration::zero());
  int count = 0;
  bool over = false;
  while (!over && now() - begun < spin) {
    count = poll();
    over = count != 0 || has_posted();
    if (!over) {
      std::this_thread::yield();  // Whoever is to bring the next event may need this processor.
    }
  }
  if (!over) {
    count = sleep(events);
  }
  events_are_dense_ = now() - begun < kDenseWait;
  return count;
}

void EventLoop::poll_descriptors(int timeout_ms) {
  std::array<epoll_event, kEventsPerPoll> events;
  const int count = wait_for_events(events, timeout_ms);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events.at(static_cast<std::size_t>(i));
    if (event.data.fd == wake_.get()) {
      eventfd_t value = 0;
      eventfd_read(wake_.get(), &value);
      continue;
    }
    // A callback may unwatch any descriptor, its own too: hold the watch while it runs. Should a
    // descriptor have been closed and its number watched anew in this very batch, the new watch
    // gets a spurious call; every callback reads without blocking.
    const auto found = watches_.find(event.data.fd);
    if (found != watches_.end()) {
      const std::shared_ptr<Watch> watch = found->second;
      watch->ready(event.events);
    }
  }
}

}  // namespace baton
