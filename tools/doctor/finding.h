// What the doctor has to say.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace baton::doctor {

/// kError: the configuration that was given can't work here. Without one there is no error.
enum class Level : std::uint8_t { kOk, kNote, kWarning, kError };

constexpr std::string_view to_string(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kNote:
      return "note";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      break;
  }
  return "error";
}

struct Finding {
  Level level = Level::kOk;
  std::string topic;   ///< one word, for who filters
  std::string what;    ///< with the values
  std::string remedy;  ///< empty: nothing needs to be done
};

using Findings = std::vector<Finding>;

}  // namespace baton::doctor
