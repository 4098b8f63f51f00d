// A configuration with its history: what parse_options and load_options make options of, and
// `baton config check` explains.
#pragma once

#include <string>
#include <string_view>

#include "baton/options.h"
#include "src/config/resolve.h"

namespace baton::config {

/// An error only where there is nothing to resolve: no YAML, no file.
StatusOr<Resolution> read_config(std::string_view yaml, std::string_view origin,
                                 const Environment& environment);
StatusOr<Resolution> read_config_file(const std::string& path, const Environment& environment);
/// The file that LMCACHE_CONFIG_FILE names, if it is there, and the variables.
StatusOr<Resolution> read_config_of(const Environment& environment);

}  // namespace baton::config
