#include "tools/doctor/text.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>

namespace baton::doctor {

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  constexpr double kStep = 1024;
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= kStep && unit + 1 < kUnits.size()) {
    value /= kStep;
    ++unit;
  }
  const std::string number = fmt::format("{:.1f}", value);
  return fmt::format("{} {}", number.ends_with(".0") ? number.substr(0, number.size() - 2) : number,
                     kUnits.at(unit));
}

std::string limit_text(std::optional<std::uint64_t> bytes) {
  return bytes ? bytes_text(*bytes) : "unlimited";
}

std::string ip_text(std::string_view ip) {
  constexpr std::size_t kIpv4Bytes = 4;
  constexpr std::size_t kIpv6Bytes = 16;
  if (ip.size() != kIpv4Bytes && ip.size() != kIpv6Bytes) {
    return "unknown";
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(ip.size() == kIpv4Bytes ? AF_INET : AF_INET6, ip.data(), text.data(), text.size());
  return text.data();
}

}  // namespace baton::doctor
