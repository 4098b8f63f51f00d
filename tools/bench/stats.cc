#include "tools/bench/stats.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>

namespace baton::bench {
namespace {

constexpr int kResamples = 2000;
constexpr std::uint64_t kSeed = 20240531;

double ratio_of(double baton, double reference, bool more_is_better) {
  return more_is_better ? baton / reference : reference / baton;
}

}  // namespace

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(place));
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (place - std::floor(place));
}

double jain(const std::vector<double>& shares) {
  double sum = 0;
  double squares = 0;
  for (const double share : shares) {
    sum += share;
    squares += share * share;
  }
  return squares > 0 ? sum * sum / (static_cast<double>(shares.size()) * squares) : 0;
}

Ratio bootstrap_ratio(const std::vector<double>& baton, const std::vector<double>& reference,
                      bool more_is_better) {
  const std::size_t count = std::min(baton.size(), reference.size());
  std::mt19937_64 random(kSeed);
  std::uniform_int_distribution<std::size_t> pick(0, count - 1);
  std::vector<double> ratios;
  std::vector<double> some_baton(count);
  std::vector<double> some_reference(count);
  for (int round = 0; round < kResamples; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t pair = pick(random);
      some_baton[i] = baton[pair];
      some_reference[i] = reference[pair];
    }
    ratios.push_back(ratio_of(median(some_baton), median(some_reference), more_is_better));
  }
  return {.value = ratio_of(median(baton), median(reference), more_is_better),
          .low = quantile(ratios, 0.025),
          .high = quantile(ratios, 0.975)};
}

}  // namespace baton::bench
