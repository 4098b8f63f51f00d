// P2: the decoder hears no early and no false word.
#include "src/proxy/release_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "src/base/event_loop.h"
#include "src/control/inproc/inproc_network.h"
#include "src/control/zmq/zmq_network.h"
#include "src/wire/codec.h"
#include "tests/support/virtual_scheduler.h"

namespace baton::proxy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr const char* kEndpoint = "tcp://proxy:8500";

class ReleaseGateTest : public ::testing::Test {
 protected:
  ReleaseGateTest() {
    push_ = network_.connect_push(kEndpoint).value();
    scheduler_.run_ready();
  }

  void notify(const std::string& req_id) { push(wire::encode(wire::ProxyNotif{req_id, {}})); }
  void push(const std::string& bytes) {
    ASSERT_TRUE(push_->send(bytes).ok());
    scheduler_.run_ready();
  }

  Status expect(const std::string& req_id, std::uint32_t ranks = 1) {
    return gate_->expect(req_id, ranks, seconds(1),
                         [this, req_id](const Status& status) { ends_[req_id].push_back(status); });
  }
  /// How the wait ended; fails unless it ended exactly once.
  StatusCode end_of(const std::string& req_id) {
    EXPECT_EQ(ends_[req_id].size(), 1U) << req_id;
    return ends_[req_id].empty() ? StatusCode::kUnknown : ends_[req_id].front().code();
  }

  testing::VirtualScheduler scheduler_;
  control::InprocNetwork network_{scheduler_};
  std::unique_ptr<ReleaseGate> gate_ =
      ReleaseGate::bind(scheduler_, network_, kEndpoint, {.max_live_requests = 3}).value();
  std::unique_ptr<control::Push> push_;
  std::map<std::string, std::vector<Status>> ends_;
};

TEST_F(ReleaseGateTest, ReleasesWhenEveryRankHasSpoken) {
  ASSERT_TRUE(expect("r", 3).ok());
  notify("r");
  notify("r");
  EXPECT_TRUE(ends_["r"].empty());
  notify("r");
  EXPECT_EQ(end_of("r"), StatusCode::kOk);
  EXPECT_EQ(gate_->live_requests(), 0U);
  scheduler_.run_for(seconds(10));  // The deadline of a released request changes nothing.
  EXPECT_EQ(end_of("r"), StatusCode::kOk);
}

TEST_F(ReleaseGateTest, CountsEachRequestByItself) {
  ASSERT_TRUE(expect("a", 2).ok());
  ASSERT_TRUE(expect("b", 2).ok());
  notify("a");
  notify("b");
  EXPECT_TRUE(ends_["a"].empty());
  EXPECT_TRUE(ends_["b"].empty());
  notify("b");
  EXPECT_EQ(end_of("b"), StatusCode::kOk);
  EXPECT_TRUE(ends_["a"].empty());
}

TEST_F(ReleaseGateTest, ARankOfAnAttemptCountsOnce) {
  const auto word = [&](std::uint64_t attempt, std::uint32_t rank) {
    wire::ProxyNotif notif{"r", {}};
    notif.baton = wire::ProxyNotif::Baton{Epoch::random(), attempt, rank};
    push(wire::encode(notif));
  };
  ASSERT_TRUE(expect("r", 2).ok());
  word(7, 0);
  word(7, 0);  // The network said it twice.
  EXPECT_TRUE(ends_["r"].empty());
  EXPECT_EQ(gate_->counters().repeated, 1U);
  word(8, 1);  // Another attempt's rank 1 does not complete attempt 7.
  EXPECT_TRUE(ends_["r"].empty());
  word(7, 2);  // There is no such rank.
  EXPECT_TRUE(ends_["r"].empty());
  word(7, 1);
  EXPECT_EQ(end_of("r"), StatusCode::kOk);
}

TEST_F(ReleaseGateTest, AttemptsThatAreToldApartAreFew) {
  ASSERT_TRUE(expect("r", 2).ok());
  for (std::uint64_t attempt = 0; attempt < 100; ++attempt) {
    wire::ProxyNotif notif{"r", {}};
    notif.baton = wire::ProxyNotif::Baton{Epoch::random(), attempt, 0};
    push(wire::encode(notif));
  }
  EXPECT_EQ(gate_->counters().counted, 8U);
  EXPECT_EQ(gate_->counters().unmatched, 92U);
}

TEST_F(ReleaseGateTest, AFailureEndsTheWaitAndSaysWhy) {
  ASSERT_TRUE(expect("r", 2).ok());
  notify("r");
  push(wire::encode(wire::FailNotif{"r", Epoch::random(), 7, 1, 4, "the put took too long"}));
  EXPECT_EQ(end_of("r"), StatusCode::kAborted);
  EXPECT_THAT(std::string(ends_["r"].front().message()),
              HasSubstr("rank 1 failed: the put took too long"));
  notify("r");
  EXPECT_EQ(end_of("r"), StatusCode::kAborted) << "no word is counted after it";
  push(wire::encode(wire::FailNotif{"unheard-of", Epoch::random(), 7, 1, 4, "x"}));
  EXPECT_EQ(gate_->counters().failures, 1U);
}

TEST_F(ReleaseGateTest, NeverCallsBackInsideACall) {
  ASSERT_TRUE(expect("r").ok());
  gate_->forget("r");
  EXPECT_TRUE(ends_["r"].empty());
  scheduler_.run_ready();
  EXPECT_EQ(end_of("r"), StatusCode::kCancelled);
}

TEST_F(ReleaseGateTest, ADeadlineNamesWhoSpokeAndHowLongItWas) {
  ASSERT_TRUE(expect("r", 2).ok());
  notify("r");
  scheduler_.run_for(milliseconds(999));
  EXPECT_TRUE(ends_["r"].empty());
  scheduler_.run_for(milliseconds(1));
  EXPECT_EQ(end_of("r"), StatusCode::kDeadlineExceeded);
  const std::string message(ends_["r"].front().message());
  EXPECT_THAT(message, HasSubstr("[r] 1 of 2 ranks"));
  EXPECT_THAT(message, HasSubstr("1000 ms"));
}

TEST_F(ReleaseGateTest, LateExcessAndUnknownWordsAreCountedAndIgnored) {
  notify("early");
  EXPECT_EQ(gate_->counters().unmatched, 1U);
  ASSERT_TRUE(expect("early").ok());
  scheduler_.run_ready();
  EXPECT_TRUE(ends_["early"].empty());  // An early word is not kept.
  notify("early");
  notify("early");
  EXPECT_EQ(end_of("early"), StatusCode::kOk);

  ASSERT_TRUE(expect("late").ok());
  scheduler_.run_for(seconds(2));
  notify("late");
  EXPECT_EQ(end_of("late"), StatusCode::kDeadlineExceeded);

  ASSERT_TRUE(expect("forgotten").ok());
  gate_->forget("forgotten");
  gate_->forget("forgotten");
  gate_->forget("never seen");
  notify("forgotten");
  EXPECT_EQ(end_of("forgotten"), StatusCode::kCancelled);

  EXPECT_EQ(gate_->counters().unmatched, 4U);
  EXPECT_EQ(gate_->counters().counted, 1U);
}

TEST_F(ReleaseGateTest, ASecondOpenOfALiveIdIsRefused) {
  ASSERT_TRUE(expect("r", 2).ok());
  notify("r");
  const Status refusal = expect("r", 1);
  EXPECT_EQ(refusal.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refusal.message()), HasSubstr("[r]"));
  EXPECT_TRUE(ends_["r"].empty());  // and the first goes on undisturbed
  notify("r");
  EXPECT_EQ(end_of("r"), StatusCode::kOk);
  EXPECT_TRUE(expect("r").ok());
}

TEST_F(ReleaseGateTest, LiveRequestsAreBounded) {
  for (const char* id : {"1", "2", "3"}) {
    ASSERT_TRUE(expect(id).ok());
  }
  const Status refusal = expect("4");
  EXPECT_EQ(refusal.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refusal.message()), HasSubstr("3 requests"));
  notify("2");
  EXPECT_TRUE(expect("4").ok());
}

TEST_F(ReleaseGateTest, RefusesWhatCanNeverBeReleased) {
  EXPECT_EQ(expect("").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(expect(std::string(1025, 'r')).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(expect("r", 0).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(gate_->expect("r", 1, seconds(0), [](const Status&) {}).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(gate_->live_requests(), 0U);
}

TEST_F(ReleaseGateTest, TheLongestIdWorks) {
  const std::string id(1024, 'r');
  ASSERT_TRUE(expect(id).ok());
  notify(id);
  EXPECT_EQ(end_of(id), StatusCode::kOk);
}

TEST_F(ReleaseGateTest, AGateThatGoesCancelsWhatWaits) {
  ASSERT_TRUE(expect("r").ok());
  gate_.reset();
  EXPECT_TRUE(ends_["r"].empty());
  scheduler_.run_for(seconds(10));
  EXPECT_EQ(end_of("r"), StatusCode::kCancelled);
}

TEST_F(ReleaseGateTest, ACallbackMayOpenTheSameIdAnewOrEndTheGate) {
  ASSERT_TRUE(gate_
                  ->expect("r", 1, seconds(1),
                           [this](const Status& status) {
                             EXPECT_TRUE(status.ok());
                             EXPECT_TRUE(expect("r").ok());
                             gate_.reset();
                           })
                  .ok());
  notify("r");
  EXPECT_EQ(end_of("r"), StatusCode::kCancelled);
}

TEST_F(ReleaseGateTest, HostileBytesAreCountedAndDoNoHarm) {
  ASSERT_TRUE(expect("r", 1).ok());
  const std::string word = wire::encode(wire::ProxyNotif{"r", {}});
  std::uint64_t sent = 0;
  for (std::size_t cut = 0; cut < word.size(); ++cut) {
    push(word.substr(0, cut));
    ++sent;
  }
  push(word + "x");
  push(std::string(1 << 20, '\xdf'));            // maps all the way down
  push(std::string("\xdf\xff\xff\xff\xff", 5));  // a map of 2^32 - 1 fields
  push(wire::encode(wire::ProxyNotif{std::string(2000, 'r'), {}}));
  sent += 4;
  EXPECT_EQ(gate_->counters().undecodable, sent);

  push(wire::encode(wire::CancelNotif{.req_id = "r", .keys = {}, .baton = std::nullopt}));
  EXPECT_EQ(gate_->counters().unexpected, 1U);
  EXPECT_TRUE(ends_["r"].empty());
  EXPECT_EQ(gate_->live_requests(), 1U);
  notify("r");
  EXPECT_EQ(end_of("r"), StatusCode::kOk);
}

TEST_F(ReleaseGateTest, RandomBytesReleaseNobody) {
  ASSERT_TRUE(expect("r", 1).ok());
  std::mt19937 random(20261122);  // NOLINT(cert-msc51-cpp): reproducible on purpose
  const std::string word = wire::encode(wire::ProxyNotif{"q", {}});
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = word;
    bytes[random() % bytes.size()] = static_cast<char>(random());
    if (bytes != wire::encode(wire::ProxyNotif{"r", {}})) {
      push(bytes);
    }
  }
  EXPECT_TRUE(ends_["r"].empty());
}

TEST(ReleaseGateOverZmq, ReleasesAndNamesATakenPort) {
  auto loop = EventLoop::create("gate-test").value();
  loop->start();
  std::unique_ptr<control::ZmqNetwork> network;
  std::unique_ptr<ReleaseGate> gate;
  std::unique_ptr<control::Push> push;
  std::promise<Status> ended;
  loop->run_sync([&] {
    network = std::make_unique<control::ZmqNetwork>(*loop);
    gate = ReleaseGate::bind(*loop, *network, "tcp://127.0.0.1:0").value();
    const std::string endpoint = gate->endpoint();
    const Status taken = ReleaseGate::bind(*loop, *network, endpoint).status();
    EXPECT_EQ(taken.code(), StatusCode::kUnavailable);
    EXPECT_THAT(std::string(taken.message()), HasSubstr(endpoint));
    ASSERT_TRUE(gate->expect("r", 1, seconds(20),
                             [&](Status status) { ended.set_value(std::move(status)); })
                    .ok());
    push = network->connect_push(endpoint).value();
    push->set_writable([&] {
      EXPECT_TRUE(push->send(wire::encode(wire::ProxyNotif{"r", {}})).ok());
    });
  });
  EXPECT_TRUE(ended.get_future().get().ok());
  loop->run_sync([&] {
    push.reset();
    gate.reset();
    network.reset();
  });
}

}  // namespace
}  // namespace baton::proxy
