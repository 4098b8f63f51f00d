// From what was written, in a file and in the environment, to the values in force and where each
// comes from. The environment overrides the file, as in LMCache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baton/options.h"
#include "src/config/option_table.h"
#include "src/config/yaml_document.h"

namespace baton::config {

enum class Source : std::uint8_t { kDefault, kFile, kEnvironment };

/// Where something was written.
struct Place {
  Source source = Source::kDefault;
  std::string name;      ///< as written: a key, an old name of it, a variable; empty: default
  std::size_t line = 0;  ///< in the file
};

/// A value in force.
struct Setting {
  const OptionRow* row = nullptr;
  Place place;
  bool refused = false;  ///< what is written there is an error; the value in force is the default
};

/// What was written, and means nothing here.
struct Meaningless {
  Place place;
  std::string why;
};

struct Resolution {
  Options options;
  /// One for each row that has a value, in the table's order.
  std::vector<Setting> settings;
  std::vector<Meaningless> meaningless;
  std::vector<std::string> notes;
  /// The first is what parse_options returns. Each says where.
  std::vector<Status> errors;
};

/// `origin` is put before every message about the file or the whole. Validates, if all values are
/// good.
Resolution resolve(std::span<const YamlEntry> file, const Environment& environment,
                   std::string_view origin);

/// "nixl_role (line 3)", "LMCACHE_PD_ROLE".
std::string place_text(const Place& place);

}  // namespace baton::config
