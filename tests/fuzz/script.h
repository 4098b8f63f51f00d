// An input as a sequence of steps: { u8 action | u16 length, little-endian | length bytes } …
// The last step's bytes may be cut short.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace baton::fuzz {

enum class Action : std::uint8_t {
  kSayOnInit = 0,
  kSayOnAlloc = 1,
  kLetTimePass = 2,      ///< a quarter of a second for each byte
  kBreakConnection = 3,  ///< the data connection
};

struct Step {
  Action action;
  std::string bytes;
};

inline constexpr std::size_t kActions = 4;
inline constexpr std::size_t kMaxSteps = 32;
inline constexpr std::size_t kStepHeaderBytes = 3;

inline std::vector<Step> parse_script(std::string_view input) {
  std::vector<Step> steps;
  while (input.size() >= kStepHeaderBytes && steps.size() < kMaxSteps) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(input[i]); };
    const std::size_t length = byte(1) + 256U * byte(2);
    const auto action = static_cast<Action>(byte(0) % kActions);
    input.remove_prefix(kStepHeaderBytes);
    steps.push_back({action, std::string(input.substr(0, length))});
    input.remove_prefix(std::min(length, input.size()));
  }
  return steps;
}

inline std::string write_script(const std::vector<Step>& steps) {
  std::string out;
  for (const Step& step : steps) {
    out += static_cast<char>(step.action);
    out += static_cast<char>(step.bytes.size() % 256);
    out += static_cast<char>(step.bytes.size() / 256);
    out += step.bytes;
  }
  return out;
}

}  // namespace baton::fuzz
