#include "src/config/option_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/text.h"
#include "src/config/option_text.h"
#include "src/config/overloaded.h"
#include "src/config/scalars.h"

namespace baton::config {
namespace {

using std::chrono::milliseconds;

Status refused(const OptionRow& row, const std::string& value) {
  std::string message = fmt::format("{} is {}; allowed: {}", row.name, value, allowed(row));
  if (!row.hint.empty()) {
    message += fmt::format(" ({})", row.hint);
  }
  return absl::InvalidArgumentError(message);
}

/// As it stood in the YAML, cut where it is long.
std::string shown(const YamlValue& value) {
  if (value.kind == YamlValue::Kind::kScalar) {
    return quote(value.scalars.front().text);
  }
  constexpr std::size_t kMaxShown = 8;
  std::string list;
  for (std::size_t i = 0; i < std::min(value.scalars.size(), kMaxShown); ++i) {
    list += (i > 0 ? ", " : "") + quote(value.scalars[i].text);
  }
  return fmt::format("a list of {}: [{}{}]", value.scalars.size(), list,
                     value.scalars.size() > kMaxShown ? ", …" : "");
}

template <typename T, typename Value>
bool set(Options& options, T Options::*member, const std::optional<Value>& value) {
  if (value.has_value()) {
    options.*member = static_cast<T>(*value);
  }
  return value.has_value();
}

template <typename Member>
bool set_choice(Options& options, const Member& member, const YamlScalar& scalar) {
  for (const auto& choice : choices(member)) {
    if (choice.name == scalar.text) {
      options.*member = choice.value;
      return true;
    }
  }
  return false;
}

std::optional<std::string> to_host(const YamlScalar& scalar) {
  return is_host(scalar.text) ? std::optional(scalar.text) : std::nullopt;
}

std::optional<std::string> to_path(const YamlScalar& scalar) {
  return is_path(scalar.text) ? std::optional(scalar.text) : std::nullopt;
}

bool is_only(const OnlyValue& only, const YamlScalar& scalar) {
  return only.kind == OnlyValue::Kind::kText ? scalar.text == only.value
                                             : to_bool(scalar) == (only.value == "true");
}

/// False if the value is of another kind than the target, or out of range.
bool assign_scalar(const OptionRow& row, const YamlScalar& scalar, Options& options) {
  const Overloaded assign_to{
      [&](bool Options::*member) { return set(options, member, to_bool(scalar)); },
      [&](const NumberMember auto& member) {
        return set(options, member, to_number(scalar, row.range));
      },
      [&](milliseconds Options::*member) {
        return set(options, member, to_number(scalar, row.range));
      },
      [&](const Seconds& seconds) {
        return set(options, seconds.member, to_milliseconds(scalar, row.range));
      },
      [&](std::string Options::*member) { return set(options, member, to_host(scalar)); },
      [&](const FilePath& path) { return set(options, path.member, to_path(scalar)); },
      [&](const ChoiceMember auto& member) { return set_choice(options, member, scalar); },
      [&](const OnlyValue& only) { return is_only(only, scalar); },
      [&](Unused kind) { return kind != Unused::kNumber || to_float(scalar).has_value(); },
      [](std::vector<std::uint16_t> Options::* /*member*/) { return false; },
      [](std::vector<std::string> Options::* /*member*/) { return false; },
  };
  return std::visit(assign_to, row.target);
}

bool assign_list(const OptionRow& row, const YamlValue& value, Options& options) {
  if (const auto* unused = std::get_if<Unused>(&row.target)) {
    return *unused == Unused::kTexts || to_ports(value, row.range).has_value();
  }
  if (const auto* rails = std::get_if<std::vector<std::string> Options::*>(&row.target)) {
    return set(options, *rails, to_rails(value));
  }
  const auto* member = std::get_if<std::vector<std::uint16_t> Options::*>(&row.target);
  return member != nullptr && set(options, *member, to_ports(value, row.range));
}

Status check_number(const OptionRow& row, std::uint64_t value) {
  return value >= row.range.min && value <= row.range.max ? absl::OkStatus()
                                                          : refused(row, fmt::format("{}", value));
}

Status check_milliseconds(const OptionRow& row, milliseconds value) {
  return value.count() < 0 ? refused(row, fmt::format("{}", value.count()))
                           : check_number(row, static_cast<std::uint64_t>(value.count()));
}

Status check_rails(const OptionRow& row, const std::vector<std::string>& rails) {
  const auto bad = std::find_if_not(rails.begin(), rails.end(), is_rail);
  if (bad != rails.end()) {
    return refused(row, quote(*bad));
  }
  return rails.size() <= kMaxRails ? absl::OkStatus()
                                   : refused(row, fmt::format("a list of {}", rails.size()));
}

template <typename Member>
Status check_choice(const OptionRow& row, const Member& member, const Options& options) {
  for (const auto& choice : choices(member)) {
    if (options.*member == choice.value) {
      return absl::OkStatus();
    }
  }
  return refused(row, fmt::format("{}", static_cast<unsigned>(options.*member)));
}

}  // namespace

bool takes_list(const OptionRow& row) {
  const auto* unused = std::get_if<Unused>(&row.target);
  return std::holds_alternative<std::vector<std::uint16_t> Options::*>(row.target) ||
         std::holds_alternative<std::vector<std::string> Options::*>(row.target) ||
         (unused != nullptr && (*unused == Unused::kPorts || *unused == Unused::kTexts));
}

Status assign(const OptionRow& row, const YamlValue& value, Options& options) {
  if (value.kind == YamlValue::Kind::kNull) {
    return absl::OkStatus();
  }
  if (value.kind == YamlValue::Kind::kNested) {
    return absl::InvalidArgumentError(fmt::format("{} {}", quote(row.name), value.oddity));
  }
  const bool assigned = takes_list(row) ? assign_list(row, value, options)
                                        : value.kind == YamlValue::Kind::kScalar &&
                                              assign_scalar(row, value.scalars.front(), options);
  return assigned ? absl::OkStatus() : refused(row, shown(value));
}

Status check_range(const OptionRow& row, const Options& options) {
  const Overloaded check{
      [&](const NumberMember auto& member) { return check_number(row, options.*member); },
      [&](milliseconds Options::*member) { return check_milliseconds(row, options.*member); },
      [&](std::string Options::*member) {
        return is_host(options.*member) ? absl::OkStatus() : refused(row, quote(options.*member));
      },
      [&](const FilePath& path) {
        return is_path(options.*path.member) ? absl::OkStatus()
                                             : refused(row, quote(options.*path.member));
      },
      [&](std::vector<std::uint16_t> Options::*member) {
        const std::size_t count = (options.*member).size();
        return count <= kMaxPorts ? absl::OkStatus()
                                  : refused(row, fmt::format("a list of {}", count));
      },
      [&](std::vector<std::string> Options::*member) { return check_rails(row, options.*member); },
      [&](const ChoiceMember auto& member) { return check_choice(row, member, options); },
      // A bool is always one; the others have no member of their own.
      [](const auto& /*target*/) { return absl::OkStatus(); },
  };
  return std::visit(check, row.target);
}

}  // namespace baton::config
