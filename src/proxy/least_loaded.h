// Who of several has the least to do.
#pragma once

#include <cstddef>
#include <vector>

namespace baton::proxy {

/// Counts open work per index. Ties go round: the first index after the one picked last.
class LeastLoaded {
 public:
  /// `count`: at least 1.
  explicit LeastLoaded(std::size_t count) : loads_(count, 0) {}

  /// An index with the least load. Adds nothing to it.
  std::size_t pick();
  void add(std::size_t index) { ++loads_[index]; }
  void remove(std::size_t index) { --loads_[index]; }
  std::size_t load(std::size_t index) const { return loads_[index]; }

 private:
  std::vector<std::size_t> loads_;
  std::size_t next_ = 0;  // where ties are looked for first
};

}  // namespace baton::proxy
