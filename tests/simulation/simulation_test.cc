// The simulator itself: that it replays, that it is as large as it claims, and that its checker
// can fail.
#include "tests/simulation/simulation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "src/base/log.h"
#include "tests/simulation/model/call_watch.h"
#include "tests/simulation/world/world.h"

namespace baton::simulation {
namespace {

class Simulating : public ::testing::Test {
 protected:
  Simulating() { log::set_level(log::Level::kOff); }
};

TEST_F(Simulating, OneSeedHasOneHistory) {
  for (const std::uint64_t seed : {2U, 3U, 4U, 5U}) {
    const Result first = simulate(seed, {});
    const Result second = simulate(seed, {});
    EXPECT_EQ(first.history_digest, second.history_digest) << seed;
    EXPECT_EQ(first.events, second.events) << seed;
  }
  EXPECT_NE(simulate(2, {}).history_digest, simulate(3, {}).history_digest);
}

TEST_F(Simulating, EverySeedIsLargeEnoughAndMostRequestsComplete) {
  std::uint64_t requests = 0;
  std::uint64_t completed = 0;
  std::uint32_t of_two_ranks = 0;
  constexpr std::uint64_t kSeeds = 40;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Profile profile = make_profile(seed, FaultLevel::kModerate);
    EXPECT_GE(profile.prefillers, 2U);
    EXPECT_GE(profile.decoders, 2U);
    of_two_ranks += profile.ranks == 2 ? 1 : 0;
    const Result result = simulate(seed, {});
    EXPECT_FALSE(result.violation.has_value()) << seed << ": " << result.violation->what;
    EXPECT_GE(result.events, 2'000U) << seed;
    const auto& ended = result.requests;
    EXPECT_GE(ended.completed + ended.failed + ended.cancelled, 30U) << seed;
    requests += ended.completed + ended.failed + ended.cancelled;
    completed += ended.completed;
  }
  EXPECT_EQ(of_two_ranks, kSeeds / 4);
  EXPECT_GE(completed * 100, requests * 80);
}

TEST_F(Simulating, OnlyTheFirstBrokenPromiseCounts) {
  testing::VirtualScheduler clock;
  History history(clock, false);
  Verdict verdict(history);
  EXPECT_FALSE(verdict.violation().has_value());
  verdict.broken(Promise::kP3, "first");
  verdict.broken(Promise::kP1, "second");
  ASSERT_TRUE(verdict.violation().has_value());
  EXPECT_EQ(verdict.violation()->promise, Promise::kP3);
  EXPECT_EQ(verdict.violation()->what, "first");
}

class Watching : public ::testing::Test {
 protected:
  bool broken() const { return verdict_.violation().has_value(); }

  testing::VirtualScheduler clock_;
  History history_{clock_, false};
  Verdict verdict_{history_};
  CallWatch watch_{clock_, verdict_};
  ProcessScheduler process_{clock_, Random(1), [] {}};
};

TEST_F(Watching, ACallbackInTimeIsFine) {
  watch_.end(watch_.begin(process_, "call", std::chrono::seconds(1)));
  clock_.run_for(std::chrono::seconds(5));
  EXPECT_FALSE(broken());
}

TEST_F(Watching, ALateCallbackIsNot) {
  watch_.begin(process_, "call", std::chrono::seconds(1));
  clock_.run_for(std::chrono::seconds(5));
  EXPECT_TRUE(broken());
}

TEST_F(Watching, NorIsOneThatComesTwice) {
  const auto call = watch_.begin(process_, "call", std::chrono::seconds(1));
  watch_.end(call);
  watch_.end(call);
  EXPECT_TRUE(broken());
}

TEST_F(Watching, APausedProcessHasMoreTimeButNotForEver) {
  watch_.begin(process_, "call", std::chrono::seconds(1));
  process_.pause_until(clock_.now() + std::chrono::seconds(3));
  clock_.run_for(std::chrono::seconds(3));
  EXPECT_FALSE(broken());
  clock_.run_for(std::chrono::seconds(3));
  EXPECT_TRUE(broken());
}

TEST_F(Watching, ACrashedProcessOwesNothing) {
  watch_.begin(process_, "call", std::chrono::seconds(1));
  watch_.forgive(process_);
  clock_.run_for(std::chrono::seconds(5));
  EXPECT_FALSE(broken());
}

class ProcessTurns : public ::testing::Test {
 protected:
  testing::VirtualScheduler clock_;
  ProcessScheduler process_{clock_, Random(7), [] {}};
};

TEST_F(ProcessTurns, TasksKeepTheirOrder) {
  std::vector<int> ran;
  for (int i = 0; i < 50; ++i) {
    process_.post([&ran, i] { ran.push_back(i); });
  }
  clock_.run_for(std::chrono::seconds(1));
  EXPECT_EQ(ran.size(), 50U);
  EXPECT_TRUE(std::ranges::is_sorted(ran));
}

TEST_F(ProcessTurns, APausedProcessTakesNoTurn) {
  int ran = 0;
  process_.run_after(std::chrono::milliseconds(1), [&ran] { ++ran; });
  process_.post([&ran] { ++ran; });
  process_.pause_until(clock_.now() + std::chrono::milliseconds(10));
  clock_.run_for(std::chrono::milliseconds(9));
  EXPECT_EQ(ran, 0);
  clock_.run_for(std::chrono::milliseconds(2));
  EXPECT_EQ(ran, 2);
}

}  // namespace
}  // namespace baton::simulation
