// What a row of the table looks like to a reader: for error messages and documentation.
#pragma once

#include <string>
#include <string_view>

#include "src/config/option_table.h"

namespace baton::config {

/// "int", "int or list of int", "sender | receiver", …
std::string type_text(const OptionRow& row);

/// "1 to 1048576"; empty where the type says it all.
std::string range_text(const OptionRow& row);

/// The row's value in `options`, as YAML spells it; empty if there is none.
std::string value_text(const OptionRow& row, const Options& options);

/// The default, as YAML spells it; empty if there is none.
std::string default_text(const OptionRow& row);

/// "ms", "bytes", "tokens"; empty where there is none.
std::string_view unit_text(const OptionRow& row);

/// Both type and range, for "… is allowed".
std::string allowed(const OptionRow& row);

}  // namespace baton::config
