#include "src/base/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace baton {
namespace {

using namespace std::chrono_literals;

class EventLoopTest : public ::testing::Test {
 protected:
  EventLoopTest() : loop_(*EventLoop::create("test")) { loop_->start(); }
  std::unique_ptr<EventLoop> loop_;
};

TEST_F(EventLoopTest, RunsTasksInOrderOnItsOwnThread) {
  std::vector<int> order;
  std::promise<void> done;
  for (int i = 0; i < 100; ++i) {
    loop_->post([&, i] {
      EXPECT_TRUE(loop_->on_loop());
      order.push_back(i);
      if (i == 99) {
        done.set_value();
      }
    });
  }
  done.get_future().wait();
  ASSERT_EQ(order.size(), 100U);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  }
  EXPECT_FALSE(loop_->on_loop());
}

TEST_F(EventLoopTest, ATaskPostedInATaskRunsInALaterTurn) {
  std::promise<bool> inline_run;
  loop_->post([&] {
    auto ran = std::make_shared<bool>(false);
    loop_->post([ran] { *ran = true; });
    const bool was_inline = *ran;
    loop_->post([&, ran, was_inline] {
      EXPECT_TRUE(*ran);
      inline_run.set_value(was_inline);
    });
  });
  EXPECT_FALSE(inline_run.get_future().get());
}

TEST_F(EventLoopTest, TimersRunInTheOrderOfTheirTimesAndCancelledOnesNever) {
  std::vector<int> order;
  std::promise<void> done;
  loop_->run_sync([&] {
    const TimePoint now = loop_->now();
    loop_->run_at(now + 6ms, [&] {
      order.push_back(3);
      done.set_value();
    });
    loop_->run_at(now + 2ms, [&] { order.push_back(1); });
    loop_->run_at(now + 4ms, [&] { order.push_back(2); });
    loop_->cancel(loop_->run_at(now + 1ms, [&] { order.push_back(99); }));
    loop_->cancel(kNoTimer);
  });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

/// What the kernel says that the thread does: 'S' sleeps.
char state_of(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t end_of_name = text.rfind(')');
  return end_of_name == std::string::npos ? '?' : text.at(end_of_name + 2);
}

TEST_F(EventLoopTest, APostWakesALoopThatSleeps) {
  pid_t thread = 0;
  loop_->run_sync([&] { thread = static_cast<pid_t>(::syscall(SYS_gettid)); });
  for (int round = 0; round < 20; ++round) {
    const auto give_up = std::chrono::steady_clock::now() + 10s;
    while (state_of(thread) != 'S' && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::yield();
    }
    ASSERT_EQ(state_of(thread), 'S') << "it has nothing to do";
    const auto ran = std::make_shared<std::promise<void>>();
    loop_->post([ran] { ran->set_value(); });
    ASSERT_EQ(ran->get_future().wait_for(10s), std::future_status::ready);
  }
}

TEST_F(EventLoopTest, WatchesDescriptorsUntilUnwatched) {
  const UniqueFd event(eventfd(0, EFD_NONBLOCK));
  std::promise<void> first;
  int calls = 0;
  loop_->run_sync([&] {
    loop_->watch(event.get(), EPOLLIN, [&](std::uint32_t events) {
      EXPECT_NE(events & EPOLLIN, 0U);
      eventfd_t value = 0;
      eventfd_read(event.get(), &value);
      ++calls;
      loop_->unwatch(event.get());  // from inside its own callback
      first.set_value();
    });
  });
  eventfd_write(event.get(), 1);
  first.get_future().wait();
  eventfd_write(event.get(), 1);
  loop_->run_sync([] {});
  loop_->run_sync([] {});
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, StopDropsWhatHasNotRun) {
  auto token = std::make_shared<int>(0);
  std::promise<void> entered;
  std::promise<void> leave;
  loop_->post([&] {
    entered.set_value();
    leave.get_future().wait();
  });
  entered.get_future().wait();
  loop_->post([token] { *token = 1; });
  std::thread stopper([&] { loop_->stop(); });
  leave.set_value();
  stopper.join();
  // Whether it ran depends on who was first; either way its captures are gone.
  EXPECT_EQ(token.use_count(), 1);
  loop_->post([token] { *token = 2; });
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_NE(*token, 2);
}

TEST(EventLoop, SpinsAndStillSleepsAndWakes) {
  auto loop = *EventLoop::create("spin", 50us);
  loop->start();
  std::promise<void> timer;
  loop->run_sync([&] { loop->run_after(3ms, [&] { timer.set_value(); }); });
  timer.get_future().wait();
  loop->run_sync([] {});
}

}  // namespace
}  // namespace baton
