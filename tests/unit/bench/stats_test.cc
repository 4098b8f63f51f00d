// What the benchmark says of its samples.
#include "tools/bench/stats.h"

#include <gtest/gtest.h>

#include <vector>

namespace baton::bench {
namespace {

TEST(Stats, AQuantileLiesBetweenItsNeighbours) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_DOUBLE_EQ(quantile({10, 20}, 0.25), 12.5);
  EXPECT_DOUBLE_EQ(quantile({7}, 0.95), 7);
}

TEST(Stats, JainsIndexIsOneForEqualSharesAndOneOfNForAMonopoly) {
  EXPECT_DOUBLE_EQ(jain({5, 5, 5, 5}), 1);
  EXPECT_DOUBLE_EQ(jain({8, 0, 0, 0}), 0.25);
}

TEST(Stats, ARatioSaysHowManyTimesBetterBatonIs) {
  const std::vector<double> ones(15, 1.0);
  const std::vector<double> twos(15, 2.0);
  EXPECT_DOUBLE_EQ(bootstrap_ratio(twos, ones, /*more_is_better=*/true).value, 2);   // GB/s
  EXPECT_DOUBLE_EQ(bootstrap_ratio(ones, twos, /*more_is_better=*/false).value, 2);  // us
  EXPECT_DOUBLE_EQ(bootstrap_ratio(twos, ones, true).low, 2);
}

TEST(Stats, NoiseThatHitsBothOfAPairCancelsOutAndOneSidedNoiseDoesNot) {
  std::vector<double> noisy;
  std::vector<double> twice;
  std::vector<double> steady(21, 10.0);
  for (int i = 0; i < 21; ++i) {
    noisy.push_back(10.0 + i);
    twice.push_back(2 * noisy.back());
  }
  const Ratio paired = bootstrap_ratio(twice, noisy, true);
  EXPECT_DOUBLE_EQ(paired.low, 2);
  EXPECT_DOUBLE_EQ(paired.high, 2);
  const Ratio alone = bootstrap_ratio(noisy, steady, true);
  EXPECT_LT(alone.low, alone.value);
  EXPECT_GT(alone.high, alone.value);
}

}  // namespace
}  // namespace baton::bench
