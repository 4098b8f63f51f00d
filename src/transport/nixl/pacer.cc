#include "src/transport/nixl/pacer.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <utility>

namespace baton::transport::nixl {
namespace {

constexpr int kShareOfPause = 8;

}  // namespace

Pacer::Pacer(Reactor& reactor, const Paces& paces, absl::AnyInvocable<Answer()> ask)
    : reactor_(reactor),
      paces_(paces),
      ask_(std::move(ask)),
      timer_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  if (timer_) {
    reactor_.watch(timer_.get(), EPOLLIN, [this](std::uint32_t) {
      std::uint64_t expirations = 0;
      if (::read(timer_.get(), &expirations, sizeof(expirations)) > 0) {
        paused_ = false;
        turn();
      }
    });
  }
}

Pacer::~Pacer() {
  if (timer_) {
    reactor_.unwatch(timer_.get());
  }
}

void Pacer::start() {
  still_since_ = reactor_.now();
  if (!paused_) {
    turn_later();
  }
}

void Pacer::turn_later() {
  if (!std::exchange(turn_posted_, true)) {
    reactor_.post(lifetime_.guard([this] {
      turn_posted_ = false;
      turn();
    }));
  }
}

void Pacer::turn() {
  if (paused_ || turn_posted_) {
    return;  // That will ask.
  }
  const Answer answer = ask_();
  if (answer == Answer::kIdle) {
    return;
  }
  const TimePoint now = reactor_.now();
  if (answer == Answer::kMoved) {
    still_since_ = now;
  }
  const Duration still = now - still_since_;
  if (still < paces_.spin) {
    turn_later();
  } else {
    pause(std::clamp(still / kShareOfPause, paces_.min_pause, paces_.max_pause));
  }
}

void Pacer::pause(Duration length) {
  itimerspec when{};
  when.it_value.tv_sec = length / std::chrono::seconds(1);
  when.it_value.tv_nsec = (length % std::chrono::seconds(1)).count();
  if (timer_ && timerfd_settime(timer_.get(), 0, &when, nullptr) == 0) {
    paused_ = true;
  } else {
    turn_later();  // No descriptor was left: dearer, but it goes on.
  }
}

}  // namespace baton::transport::nixl
