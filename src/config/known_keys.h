// Which names are keys.
#pragma once

#include <string>
#include <string_view>

#include "src/config/option_table.h"

namespace baton::config {

struct Known {
  bool is_known = false;
  const OptionRow* row = nullptr;  ///< null: one of LMCache's that means nothing here
};

/// By its name, or an old one.
Known find_key(std::string_view name);

/// Of a name in the table; null for others.
const OptionRow* find_row(std::string_view name);

/// For an error: the name, and the known one that it is closest to.
std::string unknown_key(std::string_view name);

}  // namespace baton::config
