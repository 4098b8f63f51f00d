#include "src/config/known_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "src/base/text.h"
#include "src/config/edit_distance.h"
#include "src/config/lmcache_keys.h"

namespace baton::config {

const OptionRow* find_row(std::string_view name) {
  const std::span<const OptionRow> table = option_table();
  const auto row = std::find_if(table.begin(), table.end(),
                                [&](const OptionRow& candidate) { return candidate.name == name; });
  return row == table.end() ? nullptr : &*row;
}

Known find_key(std::string_view name) {
  for (const Alias& alias : lmcache_aliases()) {
    if (alias.old_name == name) {
      return {true, find_row(alias.name)};
    }
  }
  if (const OptionRow* const row = find_row(name)) {
    return {true, row};
  }
  const std::span<const std::string_view> foreign = lmcache_foreign_keys();
  constexpr std::string_view kEncoderCache = "ec_";  // and any of LMCache's keys
  if (name.starts_with(kEncoderCache)) {
    return {true, nullptr};
  }
  return {std::find(foreign.begin(), foreign.end(), name) != foreign.end(), nullptr};
}

std::string unknown_key(std::string_view name) {
  constexpr std::size_t kCompared = 64;  // longer than any key
  // Baton's own first: of two that are as close, the one that means something is named.
  std::vector<std::string_view> names;
  for (const OptionRow& row : option_table()) {
    names.push_back(row.name);
  }
  for (const Alias& alias : lmcache_aliases()) {
    names.push_back(alias.old_name);
  }
  for (const std::string_view foreign : lmcache_foreign_keys()) {
    names.push_back(foreign);
  }
  const auto distance = [&](std::string_view known) {
    return edit_distance(name.substr(0, kCompared), known);
  };
  const auto closest = std::min_element(
      names.begin(), names.end(),
      [&](std::string_view a, std::string_view b) { return distance(a) < distance(b); });
  return fmt::format("unknown key {}; the closest known one is {}", quote(name), *closest);
}

}  // namespace baton::config
