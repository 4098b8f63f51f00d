// Heartbeats and silence, on a virtual clock (P5).
#include "src/transport/tcp/pulse.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/virtual_scheduler.h"

namespace baton::transport::tcp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class PulseTest : public ::testing::Test {
 protected:
  void start() {
    pulse_ = std::make_unique<Pulse>(scheduler_, TcpOptions(),
                                     Pulse::Actions{.beat = [this] { ++beats_; },
                                                    .give_up =
                                                        [this](const Status& why) {
                                                          gone_at_ = scheduler_.now();
                                                          why_ = why;
                                                          pulse_.reset();
                                                        }});
  }

  testing::VirtualScheduler scheduler_;
  std::unique_ptr<Pulse> pulse_;
  int beats_ = 0;
  TimePoint gone_at_{};
  Status why_;
};

TEST_F(PulseTest, BeatsOnlyWhenNothingElseWasSaid) {
  start();
  for (int i = 0; i < 10; ++i) {
    pulse_->heard();
    if (i % 2 == 0) {
      pulse_->said();
    }
    scheduler_.run_for(seconds(1));
  }
  EXPECT_EQ(beats_, 5);
}

TEST_F(PulseTest, SilenceEndsItWithinTheLimitAndOneInterval) {
  start();
  scheduler_.run_for(milliseconds(10'500));
  EXPECT_EQ(pulse_, nullptr);
  EXPECT_EQ(gone_at_, TimePoint(seconds(6)));
  EXPECT_EQ(why_.code(), StatusCode::kUnavailable);
  EXPECT_EQ(std::string(why_.message()), "the peer has been silent for 5000 ms");
}

TEST_F(PulseTest, FourLostHeartbeatsAreForgiven) {
  start();
  for (int i = 0; i < 10; ++i) {
    scheduler_.run_for(milliseconds(4'900));
    ASSERT_NE(pulse_, nullptr);
    pulse_->heard();
  }
}

TEST_F(PulseTest, TheEndOfItsOwnerEndsItsTimer) {
  start();
  pulse_.reset();
  scheduler_.run_for(seconds(20));
  EXPECT_EQ(beats_, 0);
  EXPECT_TRUE(why_.ok());
}

}  // namespace
}  // namespace baton::transport::tcp
