// The stream beside the rails: its messages, and who falls silent on it (P5, P8).
#include "src/transport/ucx/line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/conformance/loop_driver.h"

namespace baton::transport::ucx {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A line on one end of a socket, and the bare socket at the other.
class UcxLineTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kMaxMessageBytes = 100;

  ~UcxLineTest() override {
    driver_.run([this] { line_.reset(); });
    driver_.stop();
  }

  void open(TcpOptions options = {}) {
    std::array<int, 2> ends{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    peer_ = UniqueFd(ends[1]);
    options_ = std::move(options);
    driver_.run([&] {
      line_ =
          std::make_unique<Line>(driver_.reactor(), options_, UniqueFd(ends[0]), kMaxMessageBytes,
                                 Line::Actions{.receive =
                                                   [this](std::string_view message) {
                                                     messages_.emplace_back(message);
                                                     driver_.changed();
                                                     return verdict_;
                                                   },
                                               .end =
                                                   [this](const Status& why) {
                                                     ends_.push_back(why);
                                                     driver_.changed();
                                                   }});
    });
  }

  void say(std::string_view bytes) {
    EXPECT_EQ(send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  static std::string framed(std::string_view message) {
    std::string bytes{static_cast<char>(message.size()), '\0', '\0', '\0'};
    return bytes.append(message);
  }
  bool await_messages(std::size_t count) {
    return driver_.run_until([&] { return messages_.size() == count; });
  }
  Status await_end() {
    EXPECT_TRUE(driver_.run_until([&] { return !ends_.empty(); }));
    EXPECT_EQ(ends_.size(), 1U);
    return ends_.empty() ? Status() : ends_.front();
  }

  conformance::EventLoopDriver driver_;
  TcpOptions options_;
  UniqueFd peer_;
  std::unique_ptr<Line> line_;
  Status verdict_;
  std::vector<std::string> messages_;
  std::vector<Status> ends_;
};

TEST_F(UcxLineTest, MessagesComeWholeHoweverTheyAreCut) {
  open();
  const std::string longest(kMaxMessageBytes, 'x');
  say(framed("one") + framed("") + framed(longest) + framed("th").substr(0, 5));
  ASSERT_TRUE(await_messages(2));
  say("h");
  ASSERT_TRUE(await_messages(3));
  for (const char byte : framed("byte by byte")) {
    say({&byte, 1});
    driver_.run([] {});
  }
  ASSERT_TRUE(await_messages(4));
  EXPECT_THAT(messages_, ElementsAre("one", longest, "th", "byte by byte"));
  EXPECT_TRUE(ends_.empty());
}

TEST_F(UcxLineTest, ManyMessagesAtOnce) {
  open();
  std::string all;
  for (int i = 0; i < 500; ++i) {
    all += framed("m");
  }
  say(all);
  EXPECT_TRUE(await_messages(500));
}

TEST_F(UcxLineTest, ATooLongMessageEndsIt) {
  open();
  say(framed(std::string(kMaxMessageBytes + 1, 'x')).substr(0, 4));
  EXPECT_EQ(await_end().code(), StatusCode::kDataLoss);
}

TEST_F(UcxLineTest, AHugeLengthEndsIt) {
  open();
  say("\xff\xff\xff\xff");
  EXPECT_EQ(await_end().code(), StatusCode::kDataLoss);
}

TEST_F(UcxLineTest, WhatTheOwnerRefusesEndsIt) {
  open();
  verdict_ = absl::DataLossError(std::string("no"));
  say(framed("a") + framed("b"));
  EXPECT_EQ(await_end().message(), "no");
  EXPECT_THAT(messages_, ElementsAre("a"));
}

TEST_F(UcxLineTest, ThePeersEndEndsIt) {
  open();
  peer_.reset();
  EXPECT_EQ(await_end().code(), StatusCode::kUnavailable);
}

TEST_F(UcxLineTest, SilenceEndsIt) {
  TcpOptions options;
  options.heartbeat_interval = std::chrono::milliseconds(20);
  options.silence_limit = std::chrono::milliseconds(100);
  open(options);
  const Status why = await_end();
  EXPECT_EQ(why.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(why.message()), HasSubstr("silent"));
}

TEST_F(UcxLineTest, SaysThatItIsThere) {
  TcpOptions options;
  options.heartbeat_interval = std::chrono::milliseconds(20);
  options.silence_limit = std::chrono::hours(1);
  open(options);
  driver_.run([this] { line_->send("hello"); });
  std::string heard;
  ASSERT_TRUE(driver_.run_until([&] {
    std::array<char, 64> bytes{};
    const ssize_t got = recv(peer_.get(), bytes.data(), bytes.size(), 0);
    heard.append(bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    driver_.changed();
    return heard.size() >= 17;
  }));
  EXPECT_EQ(heard.substr(0, 17), framed("hello") + framed("") + framed(""));
}

}  // namespace
}  // namespace baton::transport::ucx
