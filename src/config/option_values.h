// From YAML to a member of Options, by a row of the table; and the check of a member's range.
#pragma once

#include "baton/options.h"
#include "src/config/option_table.h"
#include "src/config/yaml_document.h"

namespace baton::config {

/// Sets the row's member, if it has one. A null leaves the default. kInvalidArgument naming key,
/// value and what is allowed.
Status assign(const OptionRow& row, const YamlValue& value, Options& options);

/// Whether a list is a value for the row; a scalar then stands for a list of one.
bool takes_list(const OptionRow& row);

/// Whether the member's value is one that assign() could have set.
Status check_range(const OptionRow& row, const Options& options);

}  // namespace baton::config
