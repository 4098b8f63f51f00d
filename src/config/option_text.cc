#include "src/config/option_text.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <variant>
#include <vector>

#include "src/config/overloaded.h"
#include "src/config/scalars.h"

namespace baton::config {
namespace {

using std::chrono::milliseconds;

template <typename Member>
std::string choice_names(const Member& member) {
  std::string names;
  for (const auto& choice : choices(member)) {
    names += fmt::format("{}{}", names.empty() ? "" : " | ", choice.name);
  }
  return names;
}

template <typename Member>
std::string choice_name(const Member& member, const Options& options) {
  for (const auto& choice : choices(member)) {
    if (choice.value == options.*member) {
      return std::string(choice.name);
    }
  }
  return "";
}

/// One stands alone.
template <typename T>
std::string list_text(const std::vector<T>& values) {
  const std::string joined = fmt::format("{}", fmt::join(values, ", "));
  return values.size() > 1 ? "[" + joined + "]" : joined;
}

std::string unused_text(Unused kind) {
  switch (kind) {
    case Unused::kNumber:
      return "float";
    case Unused::kText:
      return "str";
    case Unused::kTexts:
      return "str or list of str";
    case Unused::kPorts:
      return "int or list of int";
  }
  return "";
}

}  // namespace

std::string type_text(const OptionRow& row) {
  const Overloaded text{
      [](bool Options::* /*member*/) { return std::string("bool"); },
      [](const NumberMember auto& /*member*/) { return std::string("int"); },
      [](milliseconds Options::* /*member*/) { return std::string("int"); },
      [](std::string Options::* /*member*/) { return std::string("str"); },
      [](std::vector<std::uint16_t> Options::* /*member*/) {
        return std::string("int or list of int");
      },
      [](std::vector<std::string> Options::* /*member*/) {
        return std::string("str or list of str");
      },
      [](const FilePath& /*path*/) { return std::string("str"); },
      [](const ChoiceMember auto& member) { return choice_names(member); },
      [](const Seconds& /*seconds*/) { return std::string("float"); },
      [](const OnlyValue& only) {
        return std::string(only.kind == OnlyValue::Kind::kBool ? "bool" : "str");
      },
      [](Unused kind) { return unused_text(kind); },
  };
  return std::visit(text, row.target);
}

std::string value_text(const OptionRow& row, const Options& options) {
  const Overloaded text{
      [&](bool Options::*member) { return std::string(options.*member ? "true" : "false"); },
      [&](const NumberMember auto& member) { return fmt::format("{}", options.*member); },
      [&](milliseconds Options::*member) { return fmt::format("{}", (options.*member).count()); },
      [&](std::string Options::*member) { return options.*member; },
      [&](const FilePath& path) { return options.*path.member; },
      [&](const ChoiceMember auto& member) { return choice_name(member, options); },
      [&](std::vector<std::uint16_t> Options::*member) { return list_text(options.*member); },
      [&](std::vector<std::string> Options::*member) { return list_text(options.*member); },
      [](const OnlyValue& only) { return std::string(only.value); },
      // What is not used has none; that of seconds stands with the milliseconds.
      [](const auto& /*target*/) { return std::string(); },
  };
  return std::visit(text, row.target);
}

std::string default_text(const OptionRow& row) {
  return value_text(row, Options{});
}

std::string_view unit_text(const OptionRow& row) {
  struct Unit {
    std::string_view name;
    std::string_view unit;
  };
  constexpr Unit kUnits[] = {{"pd_buffer_size", "bytes"},
                             {"pd_max_message_bytes", "bytes"},
                             {"chunk_size", "tokens"},
                             {"pd_max_prefill_len", "tokens"}};
  for (const Unit& unit : kUnits) {
    if (unit.name == row.name) {
      return unit.unit;
    }
  }
  return std::holds_alternative<milliseconds Options::*>(row.target) ? "ms"
         : std::holds_alternative<Seconds>(row.target)               ? "s"
                                                                     : "";
}

std::string range_text(const OptionRow& row) {
  const std::string numbers = fmt::format("{} to {}", row.range.min, row.range.max);
  const Overloaded text{
      [&](const NumberMember auto& /*member*/) { return numbers; },
      [&](milliseconds Options::* /*member*/) { return numbers; },
      [&](std::vector<std::uint16_t> Options::* /*member*/) { return numbers; },
      [&](std::vector<std::string> Options::* /*member*/) {
        return fmt::format("at most {}, of 1 to {} bytes each, without blanks", kMaxRails,
                           kMaxRailBytes);
      },
      [&](const Seconds& /*seconds*/) {
        return fmt::format("{} to {}", static_cast<double>(row.range.min) / 1000,
                           row.range.max / 1000);
      },
      [&](std::string Options::* /*member*/) {
        return fmt::format("a host name or address of at most {} bytes", kMaxHostBytes);
      },
      [&](const FilePath& /*path*/) {
        return fmt::format("a path of at most {} bytes", kMaxPathBytes);
      },
      [&](const OnlyValue& only) { return fmt::format("only {}", only.value); },
      [](const auto& /*target*/) { return std::string(); },
  };
  return std::visit(text, row.target);
}

std::string allowed(const OptionRow& row) {
  const std::string range = range_text(row);
  return type_text(row) + (range.empty() ? "" : ": ") + range;
}

}  // namespace baton::config
