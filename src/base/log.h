// One logger for the process, to standard error. Lines carry request ids where there is one:
// start them with "[req_id] ".
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace baton::log {

enum class Level { kDebug, kInfo, kWarning, kError, kOff };

/// Default: kWarning, or the environment variable BATON_LOG (debug, info, warning, error, off).
void set_level(Level level);
bool enabled(Level level);
/// Thread-safe. Non-printable bytes are escaped: log lines may quote hostile input.
void write(Level level, std::string_view line);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kDebug)) {
    write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kInfo)) {
    write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kWarning)) {
    write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kError)) {
    write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
  }
}

/// True for the first lines of each second, then false: for lines that a peer can cause.
bool within_rate();

/// A warning that can't flood the log.
template <typename... Args>
void limited_warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kWarning) && within_rate()) {
    write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
  }
}

}  // namespace baton::log
