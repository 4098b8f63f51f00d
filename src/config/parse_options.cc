#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "baton/options.h"
#include "src/base/text.h"
#include "src/config/edit_distance.h"
#include "src/config/option_table.h"
#include "src/config/option_values.h"
#include "src/config/yaml_document.h"

namespace baton {
namespace {

using config::OptionRow;
using config::YamlEntry;
using config::YamlValue;

Status at(std::string_view origin, std::size_t line, const std::string& message) {
  return absl::InvalidArgumentError(fmt::format("{}:{}: {}", origin, line, message));
}

Status in(std::string_view origin, const std::string& message) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", origin, message));
}

const OptionRow* find_row(std::string_view name) {
  const std::span<const OptionRow> table = config::option_table();
  const auto row = std::find_if(table.begin(), table.end(),
                                [&](const OptionRow& candidate) { return candidate.name == name; });
  return row == table.end() ? nullptr : &*row;
}

std::string unknown_key(std::string_view name) {
  constexpr std::size_t kCompared = 64;  // longer than any key
  const std::span<const OptionRow> table = config::option_table();
  const auto distance = [&](const OptionRow& row) {
    return config::edit_distance(name.substr(0, kCompared), row.name);
  };
  const auto closest = std::min_element(
      table.begin(), table.end(),
      [&](const OptionRow& a, const OptionRow& b) { return distance(a) < distance(b); });
  return fmt::format("unknown key {}; the closest known one is {}", quote(name), closest->name);
}

/// A time limit may be given in LMCache's seconds, in Baton's milliseconds, or in both if they
/// agree.
Status check_seconds_agree(std::span<const YamlEntry> entries, const YamlEntry& entry,
                           const OptionRow& row, std::string_view origin) {
  const auto* seconds = std::get_if<config::Seconds>(&row.target);
  if (seconds == nullptr || entry.value.kind == YamlValue::Kind::kNull) {
    return absl::OkStatus();
  }
  for (const YamlEntry& other : entries) {
    if (other.name != seconds->ms_name || other.value.kind == YamlValue::Kind::kNull) {
      continue;
    }
    Options ours;
    Options theirs;
    Status status = config::assign(row, entry.value, ours);
    status.Update(config::assign(*find_row(other.name), other.value, theirs));
    if (status.ok() && ours.*seconds->member != theirs.*seconds->member) {
      return at(origin, entry.line,
                fmt::format("{} says {} ms, but {} in line {} says {} ms; give one of them",
                            entry.name, (ours.*seconds->member).count(), other.name, other.line,
                            (theirs.*seconds->member).count()));
    }
  }
  return absl::OkStatus();
}

Status apply(std::span<const YamlEntry> entries, const YamlEntry& entry, std::string_view origin,
             ParsedOptions& out) {
  const OptionRow* row = find_row(entry.name);
  if (row == nullptr) {
    return at(origin, entry.line, unknown_key(entry.name));
  }
  if (Status status = config::assign(*row, entry.value, out.options); !status.ok()) {
    return at(origin, entry.line, std::string(status.message()));
  }
  if (!row->note.empty()) {
    out.notes.push_back(
        fmt::format("{}:{}: {} means nothing here: {}", origin, entry.line, row->name, row->note));
  }
  return check_seconds_agree(entries, entry, *row, origin);
}

/// A megabyte and one byte at most, so that parsing can tell that it is too much.
StatusOr<std::string> read_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return in(path, error ? error.message() : "is no regular file");
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(config::kMaxYamlBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.fail() && !file.eof())) {
    return in(path, "can't be read");
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace

StatusOr<ParsedOptions> parse_options(std::string_view yaml, std::string_view origin) {
  const StatusOr<std::vector<YamlEntry>> entries = config::parse_yaml(yaml, origin);
  if (!entries.ok()) {
    return entries.status();
  }
  ParsedOptions out;
  for (const YamlEntry& entry : *entries) {
    if (Status status = apply(*entries, entry, origin, out); !status.ok()) {
      return status;
    }
  }
  if (const Status status = out.options.validate(); !status.ok()) {
    return in(origin, std::string(status.message()));
  }
  return out;
}

StatusOr<ParsedOptions> load_options(const std::string& path) {
  const StatusOr<std::string> text = read_file(path);
  if (!text.ok()) {
    return text.status();
  }
  return parse_options(*text, path);
}

}  // namespace baton
