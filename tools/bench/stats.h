// From samples to what is said of them.
#pragma once

#include <cstdint>
#include <vector>

namespace baton::bench {

/// `values` must not be empty; `share` is 0 to 1. Between two samples it interpolates.
double quantile(std::vector<double> values, double share);
inline double median(const std::vector<double>& values) {
  return quantile(values, 0.5);
}

/// Jain's index of fairness: 1 if all get the same, 1/n if one gets everything.
double jain(const std::vector<double>& shares);

/// How many times better Baton is, with what the samples leave open.
struct Ratio {
  double value = 0;
  double low = 0;  ///< 95 % interval
  double high = 0;
};

/// Of medians. Sample i of one side was taken right beside sample i of the other, so pairs are
/// resampled (percentile bootstrap, a fixed seed): what hit both alike cancels out.
/// `more_is_better`: rates; else times.
Ratio bootstrap_ratio(const std::vector<double>& baton, const std::vector<double>& reference,
                      bool more_is_better);

}  // namespace baton::bench
