// Keys that stand twice in one message.
#pragma once

#include <absl/container/flat_hash_set.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <string>
#include <vector>

#include "src/base/absl_view.h"

namespace baton::receiver {

/// The position of a key that stands before it, too; or -1.
inline std::int64_t find_duplicate(const std::vector<std::string>& keys) {
  absl::flat_hash_set<absl::string_view> seen;
  seen.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!seen.insert(to_absl(keys[i])).second) {
      return static_cast<std::int64_t>(i);
    }
  }
  return -1;
}

}  // namespace baton::receiver
