// Every key of the configuration, once: from this table it is parsed, checked and documented.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "baton/options.h"

namespace baton::config {

/// LMCache's spelling of a time limit that Baton keeps in milliseconds.
struct Seconds {
  std::chrono::milliseconds Options::*member;
  std::string_view ms_name;  ///< Baton's key for the same member
};

/// A path, as against the other texts, which are hosts.
struct FilePath {
  std::string Options::*member;
};

/// A key of LMCache's for which only one value works here.
struct OnlyValue {
  enum class Kind : std::uint8_t { kBool, kText };
  Kind kind;
  std::string_view value;
};

/// A key of LMCache's that is read, then forgotten.
enum class Unused : std::uint8_t { kNumber, kText, kTexts, kPorts };

/// Where a value goes; its type says how it is spelled.
using Target =
    std::variant<bool Options::*, std::uint16_t Options::*, std::uint32_t Options::*,
                 std::size_t Options::*, std::string Options::*,
                 std::vector<std::uint16_t> Options::*, std::vector<std::string> Options::*,
                 std::chrono::milliseconds Options::*, Role Options::*, TransportChoice Options::*,
                 Integrity Options::*, ProxyKind Options::*, Security Options::*, FilePath, Seconds,
                 OnlyValue, Unused>;

enum class Origin : std::uint8_t { kLmcache, kBaton };

/// Of numbers; of time limits in milliseconds.
struct Range {
  std::uint64_t min = 0;
  std::uint64_t max = 0;
};

struct OptionRow {
  std::string_view name;
  Origin origin;
  Target target;
  Range range;
  std::string_view meaning;
  /// Follows an error about the value: why it is so.
  std::string_view hint = {};
  /// For the log when the key is given: that, and why, it means nothing here.
  std::string_view note = {};
};

std::span<const OptionRow> option_table();

/// How the values of an enumeration are spelled.
template <typename Enum>
struct Choice {
  std::string_view name;
  Enum value;
};

inline constexpr Choice<Role> kRoles[] = {
    {"sender", Role::kSender}, {"receiver", Role::kReceiver}, {"both", Role::kBoth}};
inline constexpr Choice<TransportChoice> kTransports[] = {{"auto", TransportChoice::kAuto},
                                                          {"shm", TransportChoice::kShm},
                                                          {"tcp", TransportChoice::kTcp},
                                                          {"ucx", TransportChoice::kUcx},
                                                          {"nixl", TransportChoice::kNixl}};
inline constexpr Choice<Integrity> kIntegrities[] = {
    {"off", Integrity::kOff}, {"full", Integrity::kFull}, {"paranoid", Integrity::kParanoid}};
inline constexpr Choice<ProxyKind> kProxyKinds[] = {{"stock", ProxyKind::kStock},
                                                    {"baton", ProxyKind::kBaton}};
inline constexpr Choice<Security> kSecurities[] = {{"none", Security::kNone},
                                                   {"curve", Security::kCurve}};

constexpr std::span<const Choice<Role>> choices(Role Options::* /*member*/) {
  return kRoles;
}
constexpr std::span<const Choice<TransportChoice>> choices(TransportChoice Options::* /*member*/) {
  return kTransports;
}
constexpr std::span<const Choice<Integrity>> choices(Integrity Options::* /*member*/) {
  return kIntegrities;
}
constexpr std::span<const Choice<ProxyKind>> choices(ProxyKind Options::* /*member*/) {
  return kProxyKinds;
}
constexpr std::span<const Choice<Security>> choices(Security Options::* /*member*/) {
  return kSecurities;
}

/// Members that are enumerations.
template <typename Member>
concept ChoiceMember = requires(Member member) { choices(member); };

/// Members that are whole numbers.
template <typename Member>
concept NumberMember = std::is_same_v<Member, std::uint16_t Options::*> ||
                       std::is_same_v<Member, std::uint32_t Options::*> ||
                       std::is_same_v<Member, std::size_t Options::*>;

}  // namespace baton::config
