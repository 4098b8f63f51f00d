#include "src/config/environment.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "baton/options.h"
#include "src/config/option_values.h"

namespace baton::config {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  return begin == std::string_view::npos
             ? std::string_view()
             : text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::string_view unquoted(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.front() == text.back() &&
                      (text.front() == '"' || text.front() == '\'');
  return quoted ? text.substr(1, text.size() - 2) : text;
}

bool is_bool(const OptionRow& row) {
  const auto* only = std::get_if<OnlyValue>(&row.target);
  return std::holds_alternative<bool Options::*>(row.target) ||
         (only != nullptr && only->kind == OnlyValue::Kind::kBool);
}

YamlValue scalar(std::string_view text) {
  return {YamlValue::Kind::kScalar, {{std::string(text), false}}, ""};
}

YamlValue split(std::string_view text) {
  YamlValue list{YamlValue::Kind::kList, {}, ""};
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (const std::string_view element = trimmed(text.substr(0, comma)); !element.empty()) {
      list.scalars.push_back({std::string(element), false});
    }
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  list.kind = list.scalars.size() == 1 ? YamlValue::Kind::kScalar : YamlValue::Kind::kList;
  return list;
}

}  // namespace

std::optional<std::string> key_of_variable(std::string_view variable) {
  constexpr std::string_view kEncoderCache = "LMCACHE_EC_";
  constexpr std::size_t kMaxVariableBytes = 128;
  if (!variable.starts_with(kVariablePrefix) || variable == kConfigFileVariable ||
      variable.starts_with(kEncoderCache) || variable.size() > kMaxVariableBytes) {
    return std::nullopt;
  }
  std::string key;
  for (const char c : variable.substr(kVariablePrefix.size())) {
    const bool capital = c >= 'A' && c <= 'Z';
    if (!capital && (c < '0' || c > '9') && c != '_') {
      return std::nullopt;
    }
    key += capital ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return key;
}

YamlValue value_of_text(const OptionRow& row, std::string_view text) {
  text = unquoted(trimmed(text));
  if (takes_list(row)) {
    return split(text);
  }
  if (is_bool(row) && (text == "1" || text == "0")) {
    return scalar(text == "1" ? "true" : "false");
  }
  return scalar(text);
}

YamlValue as_lmcache_reads(const OptionRow& row, const YamlValue& value) {
  if (row.origin != Origin::kLmcache) {
    return value;
  }
  if (value.kind == YamlValue::Kind::kScalar) {
    return value_of_text(row, value.scalars.front().text);
  }
  YamlValue read = value;
  for (YamlScalar& element : read.scalars) {
    element.quoted = false;
  }
  return read;
}

bool is_endless(const OptionRow& row, const YamlValue& value) {
  constexpr std::string_view kSpellings[] = {".inf",  "+.inf", ".Inf",     "+.Inf",   ".INF",
                                             "+.INF", "inf",   "infinity", "Infinity"};
  return std::holds_alternative<Seconds>(row.target) && value.kind == YamlValue::Kind::kScalar &&
         std::find(std::begin(kSpellings), std::end(kSpellings), value.scalars.front().text) !=
             std::end(kSpellings);
}

}  // namespace baton::config

namespace baton {

Environment lmcache_environment() {
  Environment found;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    const std::size_t equals = variable.find('=');
    if (variable.starts_with(config::kVariablePrefix) && equals != std::string_view::npos) {
      found.emplace(variable.substr(0, equals), variable.substr(equals + 1));
    }
  }
  return found;
}

}  // namespace baton
