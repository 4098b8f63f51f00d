#include "src/config/edit_distance.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace baton::config {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // row[j]: the distance between the letters of `a` so far and the first j of `b`.
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t exchanged = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({exchanged, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace baton::config
