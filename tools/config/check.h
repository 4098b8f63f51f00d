// `baton config check`: every value of a configuration, where it comes from, and whether it starts.
#pragma once

#include <optional>
#include <string>

#include "baton/status.h"
#include "src/config/resolve.h"

namespace baton::config {

struct CheckConfig {
  std::optional<std::string> path;
  bool env = false;  ///< LMCACHE_* variables count
  bool json = false;
};

/// What was checked, and what came of it.
struct Checked {
  std::string origin;           ///< the file, or "environment"
  StatusOr<Resolution> result;  ///< an error: there is nothing to explain
  bool starts() const { return result.ok() && result->errors.empty(); }
};

/// Returns the exit status: 0 if it starts.
int check_config(const CheckConfig& command);

/// For a person; the errors are not in it.
std::string to_table(const Resolution& resolution);
std::string to_json(const Checked& checked);

}  // namespace baton::config
