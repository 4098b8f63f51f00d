#include "src/config/scalars.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <system_error>

namespace baton::config {
namespace {

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

template <typename Number>
std::optional<Number> parse(const YamlScalar& scalar) {
  Number number{};
  const char* end = scalar.text.data() + scalar.text.size();
  const auto [stop, error] = std::from_chars(scalar.text.data(), end, number);
  if (scalar.quoted || error != std::errc{} || stop != end) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::optional<bool> to_bool(const YamlScalar& scalar) {
  const std::string text = scalar.quoted ? "" : lower_case(scalar.text);
  if (text == "true" || text == "yes" || text == "on") {
    return true;
  }
  if (text == "false" || text == "no" || text == "off") {
    return false;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> to_number(const YamlScalar& scalar, const Range& range) {
  const auto number = parse<std::uint64_t>(scalar);
  if (!number.has_value() || *number < range.min || *number > range.max) {
    return std::nullopt;
  }
  return number;
}

std::optional<double> to_float(const YamlScalar& scalar) {
  return parse<double>(scalar);
}

std::optional<std::chrono::milliseconds> to_milliseconds(const YamlScalar& seconds,
                                                         const Range& range) {
  const double count = to_float(seconds).value_or(-1) * 1000;
  if (!(count >= static_cast<double>(range.min) && count <= static_cast<double>(range.max))) {
    return std::nullopt;  // NaN, too
  }
  return std::chrono::milliseconds(std::llround(count));
}

std::optional<std::vector<std::uint16_t>> to_ports(const YamlValue& value, const Range& range) {
  if (value.scalars.size() > kMaxPorts) {
    return std::nullopt;
  }
  std::vector<std::uint16_t> ports;
  for (const YamlScalar& scalar : value.scalars) {
    const auto port = to_number(scalar, range);
    if (!port.has_value()) {
      return std::nullopt;
    }
    ports.push_back(static_cast<std::uint16_t>(*port));
  }
  return ports;
}

bool is_rail(std::string_view text) {
  return !text.empty() && text.size() <= kMaxRailBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

std::optional<std::vector<std::string>> to_rails(const YamlValue& value) {
  std::vector<std::string> rails;
  for (const YamlScalar& scalar : value.scalars) {
    if (!is_rail(scalar.text) || rails.size() == kMaxRails) {
      return std::nullopt;
    }
    rails.push_back(scalar.text);
  }
  return rails;
}

bool is_path(std::string_view text) {
  return text.size() <= kMaxPathBytes && text.find('\0') == std::string_view::npos;
}

bool is_host(std::string_view text) {
  return text.size() <= kMaxHostBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view(".-_:[]%").find(c) != std::string_view::npos;
         });
}

}  // namespace baton::config
