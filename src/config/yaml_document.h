// YAML as far as a configuration needs it: one map of names to scalars and lists of scalars.
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
  enum class Kind : std::uint8_t { kNull, kScalar, kList };
  Kind kind = Kind::kNull;
  std::vector<YamlScalar> scalars;  ///< one for kScalar
};

struct YamlEntry {
  std::string name;
  std::size_t line = 0;  ///< from 1
  YamlValue value;
};

/// Longer documents are refused.
inline constexpr std::size_t kMaxYamlBytes = 1U << 20U;

/// The entries in their order. Refuses names that are there twice, deeper nesting, anchors,
/// aliases, explicit tags and further documents; each error begins with `origin` and, where known,
/// the line.
StatusOr<std::vector<YamlEntry>> parse_yaml(std::string_view text, std::string_view origin);

}  // namespace baton::config
