// YAML as far as a configuration needs it: one map of names to scalars and lists of scalars. What
// is nested deeper is read over: LMCache has keys with maps, none of which means anything here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"

namespace baton::config {

struct YamlScalar {
  std::string text;
  bool quoted = false;  ///< then it is a string, whatever it looks like
};

struct YamlValue {
  /// kNested: a map, or a list of more than scalars; what is in it is not kept.
  enum class Kind : std::uint8_t { kNull, kScalar, kList, kNested };
  Kind kind = Kind::kNull;
  std::vector<YamlScalar> scalars;  ///< one for kScalar
  std::string oddity = {};          ///< of kNested: "is a map; …"
};

struct YamlEntry {
  std::string name;
  std::size_t line = 0;  ///< from 1
  YamlValue value;
};

/// Longer documents are refused.
inline constexpr std::size_t kMaxYamlBytes = 1U << 20U;

/// Values are nested no deeper.
inline constexpr std::size_t kMaxYamlDepth = 32;

/// The entries in their order. Refuses names that are there twice, anchors, aliases, explicit tags
/// and further documents; each error begins with `origin` and, where known, the line.
StatusOr<std::vector<YamlEntry>> parse_yaml(std::string_view text, std::string_view origin);

}  // namespace baton::config
