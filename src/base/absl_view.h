// Debian's Abseil is built with a string_view of its own.
#pragma once

#include <absl/strings/string_view.h>

#include <string_view>

namespace baton {

/// For look-ups in Abseil's maps without making a string.
inline absl::string_view to_absl(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace baton
