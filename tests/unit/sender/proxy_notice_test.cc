// What the proxy hears of requests that fail. Promises: P2, P5.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <variant>
#include <vector>

#include "tests/support/handoff.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

class ProxyNoticeTest : public ::testing::Test {
 protected:
  static sender::Config config(ProxyKind kind) {
    auto config = SenderNode::default_config();
    config.proxy_endpoint = "inproc://proxy";
    config.proxy_kind = kind;
    return config;
  }
  void start_proxy() {
    proxy_ = *world_.network.bind_pull("inproc://proxy", [this](std::string_view payload) {
      heard_.push_back(*wire::decode(payload, {}));
    });
    world_.scheduler.run_ready();
  }
  /// A put that can't end, because its receiver's only page is taken.
  void fail_a_put(SenderNode& sender, const std::string& req_id) {
    const auto put = sender.submit(receiver_, sender.spec(req_id, 0, 3));
    ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
    ASSERT_FALSE(put->status().ok());
    world_.scheduler.run_for(std::chrono::seconds(1));
  }

  World world_;
  ReceiverNode receiver_{world_, "r", 2};
  std::unique_ptr<control::Pull> proxy_;
  std::vector<wire::Message> heard_;
};

TEST_F(ProxyNoticeTest, ABatonProxyHearsOfAFailureOnce) {
  start_proxy();
  SenderNode sender(world_, 8, config(ProxyKind::kBaton));
  fail_a_put(sender, "req");
  ASSERT_THAT(heard_, SizeIs(1));
  const auto& notif = std::get<wire::FailNotif>(heard_[0]);
  EXPECT_EQ(notif.req_id, "req");
  EXPECT_EQ(notif.sender_epoch, sender.epoch());
  EXPECT_THAT(notif.message, HasSubstr("it can never fit"));
}

TEST_F(ProxyNoticeTest, ABatonProxyHearsOfACancelAndOfARequestThatWasNotAdmitted) {
  start_proxy();
  SenderNode sender(world_, 8, config(ProxyKind::kBaton));
  const auto holder = sender.open(receiver_, "holder", tiny_keys(0, 2));
  ASSERT_TRUE(holder.ok());
  EXPECT_FALSE(sender.open(receiver_, "late", tiny_keys(2, 2), std::chrono::seconds(1)).ok());
  world_.scheduler.run_for(std::chrono::seconds(1));
  ASSERT_THAT(heard_, SizeIs(1));
  EXPECT_EQ(std::get<wire::FailNotif>(heard_[0]).req_id, "late");
  EXPECT_TRUE(sender->cancel("holder", absl::CancelledError(std::string("client left"))));
  world_.scheduler.run_for(std::chrono::seconds(1));
  ASSERT_THAT(heard_, SizeIs(2));
  EXPECT_EQ(std::get<wire::FailNotif>(heard_[1]).message, "client left");
}

TEST_F(ProxyNoticeTest, AStockProxyNeverGetsAnUnknownMessage) {
  start_proxy();
  SenderNode sender(world_, 8, config(ProxyKind::kStock));
  fail_a_put(sender, "req");
  EXPECT_THAT(heard_, IsEmpty());
  const auto put = sender.submit(receiver_, sender.spec("fine", 0, 2));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
  world_.scheduler.run_for(std::chrono::seconds(1));
  ASSERT_THAT(heard_, SizeIs(1));
  EXPECT_FALSE(std::get<wire::ProxyNotif>(heard_[0]).baton.has_value());
}

TEST_F(ProxyNoticeTest, ABatonProxyLearnsWhichRankOfWhichAttemptSpeaks) {
  start_proxy();
  SenderNode sender(world_, 8, config(ProxyKind::kBaton));
  auto spec = sender.spec("fine", 0, 2);
  spec.attempt = 77;
  const auto put = sender.submit(receiver_, std::move(spec));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
  world_.scheduler.run_for(std::chrono::seconds(1));
  ASSERT_THAT(heard_, SizeIs(1));
  const auto& notif = std::get<wire::ProxyNotif>(heard_[0]);
  ASSERT_TRUE(notif.baton.has_value());
  EXPECT_EQ(notif.baton->sender_epoch, sender.epoch());
  EXPECT_EQ(notif.baton->attempt, 77U);
}

TEST_F(ProxyNoticeTest, AProxyThatComesLaterIsToldAndItsSuccessorIsNot) {
  SenderNode sender(world_, 8, config(ProxyKind::kBaton));
  fail_a_put(sender, "early");
  start_proxy();
  world_.scheduler.run_for(std::chrono::seconds(1));
  ASSERT_THAT(heard_, SizeIs(1));

  const auto opened = sender.open(receiver_, "old", tiny_keys(0, 2));
  ASSERT_TRUE(opened.ok());
  proxy_.reset();
  start_proxy();
  world_.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_TRUE(sender->cancel("old", absl::CancelledError(std::string("test"))));
  world_.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_THAT(heard_, SizeIs(1)) << "its own request of that name may be another";
}

TEST_F(ProxyNoticeTest, FailuresThatNobodyHearsAreBoundedInNumberAndTime) {
  SenderNode sender(world_, 8, config(ProxyKind::kBaton));
  const auto fail_many = [&] {
    for (int i = 0; i < 1'100; ++i) {
      const auto put = sender.submit(receiver_, sender.spec("req" + std::to_string(i), 0, 3));
      ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
    }
  };
  fail_many();
  world_.scheduler.run_for(std::chrono::minutes(1));
  start_proxy();
  world_.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_THAT(heard_, IsEmpty()) << "they were told too late";
  proxy_.reset();
  world_.scheduler.run_for(std::chrono::seconds(1));

  fail_many();
  start_proxy();
  world_.scheduler.run_for(std::chrono::seconds(1));
  ASSERT_THAT(heard_, SizeIs(1'024));
  EXPECT_EQ(std::get<wire::FailNotif>(heard_[0]).req_id, "req76") << "the oldest go first";
}

}  // namespace
}  // namespace baton
