// LMCACHE_* variables, as LMCache has them: the key in capitals, lists with commas.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/config/option_table.h"
#include "src/config/yaml_document.h"

namespace baton::config {

inline constexpr std::string_view kVariablePrefix = "LMCACHE_";
inline constexpr std::string_view kConfigFileVariable = "LMCACHE_CONFIG_FILE";

/// "LMCACHE_PD_ROLE" → "pd_role". Nothing for a name that can't be a key's: another prefix, small
/// letters, the variable that names the file, those of LMCache's encoder cache (LMCACHE_EC_*).
std::optional<std::string> key_of_variable(std::string_view variable);

/// The value that `text` spells for the row: blanks and one pair of quotes around it are left out,
/// 1 and 0 are bools, a list's elements stand between commas.
YamlValue value_of_text(const OptionRow& row, std::string_view text);

/// `value`, read as LMCache reads its own keys in YAML: it converts what it finds, so that
/// "7500" is a number, 1 a bool, "7300,7301" a list, and .inf seconds are for ever. Others' keys
/// are left as they are.
YamlValue as_lmcache_reads(const OptionRow& row, const YamlValue& value);

/// Whether the value is LMCache's "no time limit".
bool is_endless(const OptionRow& row, const YamlValue& value);

}  // namespace baton::config
