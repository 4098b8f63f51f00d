#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "src/config/known_keys.h"
#include "src/config/option_text.h"
#include "tools/config/check.h"

namespace baton::config {
namespace {

using Line = std::array<std::string, 4>;

std::string from(const Setting& setting) {
  if (setting.refused) {
    return place_text(setting.place) + " refused: default";
  }
  switch (setting.place.source) {
    case Source::kDefault:
      return "default";
    case Source::kFile:
      return setting.place.name == setting.row->name
                 ? fmt::format("line {}", setting.place.line)
                 : fmt::format("line {}, as {}", setting.place.line, setting.place.name);
    case Source::kEnvironment:
      return setting.place.name;
  }
  return "";
}

Line line_of(const Setting& setting, const Options& options) {
  const std::string value = value_text(*setting.row, options);
  const std::string_view unit = unit_text(*setting.row);
  return {std::string(setting.row->name),
          value.empty() ? "-" : value + (unit.empty() ? "" : " ") + std::string(unit),
          from(setting), std::string(setting.row->meaning)};
}

/// Columns as wide as their widest cell; the last is left as it is.
std::string aligned(const std::vector<Line>& lines) {
  std::array<std::size_t, 4> widths{};
  for (const Line& line : lines) {
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
      widths[i] = std::max(widths[i], line[i].size());
    }
  }
  std::string text;
  for (const Line& line : lines) {
    text += fmt::format("{:<{}}  {:<{}}  {:<{}}  {}\n", line[0], widths[0], line[1], widths[1],
                        line[2], widths[2], line[3]);
  }
  return text;
}

}  // namespace

std::string to_table(const Resolution& resolution) {
  std::vector<Line> lines = {{"KEY", "VALUE", "FROM", "MEANING"}};
  // What was given first: it is what a reader looks for.
  for (const bool given : {true, false}) {
    for (const Setting& setting : resolution.settings) {
      if ((setting.place.source != Source::kDefault) == given) {
        lines.push_back(line_of(setting, resolution.options));
      }
    }
  }
  std::string text = aligned(lines);
  if (!resolution.meaningless.empty()) {
    lines = {{"NO MEANING HERE", "", "FROM", "WHY"}};
    for (const Meaningless& one : resolution.meaningless) {
      lines.push_back({one.place.name, "",
                       one.place.line > 0 ? fmt::format("line {}", one.place.line) : "environment",
                       one.why});
    }
    text += "\n" + aligned(lines);
  }
  return text;
}

}  // namespace baton::config
