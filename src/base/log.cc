#include "src/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace baton::log {
namespace {

Level level_from_environment() {
  const char* name = std::getenv("BATON_LOG");
  const std::string_view text = name == nullptr ? "" : name;
  if (text == "debug") {
    return Level::kDebug;
  }
  if (text == "info") {
    return Level::kInfo;
  }
  if (text == "error") {
    return Level::kError;
  }
  if (text == "off") {
    return Level::kOff;
  }
  return Level::kWarning;
}

std::atomic<Level>& threshold() {
  static std::atomic<Level> level{level_from_environment()};
  return level;
}

spdlog::logger& sink() {
  // Never destroyed: threads may log while the process ends.
  static auto* const logger = [] {
    auto* made = new spdlog::logger("baton", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e %P %l %v");
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
    case Level::kOff:
      break;
  }
  return spdlog::level::err;
}

std::string printable(std::string_view line) {
  std::string safe;
  safe.reserve(line.size());
  for (const char c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      fmt::format_to(std::back_inserter(safe), "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      safe.push_back(c);
    }
  }
  return safe;
}

constexpr int kLinesPerSecond = 10;

}  // namespace

bool within_rate() {
  static std::atomic<std::int64_t> second{0};
  static std::atomic<int> lines{0};
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const std::int64_t current = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  if (second.exchange(current, std::memory_order_relaxed) != current) {
    lines.store(0, std::memory_order_relaxed);
  }
  return lines.fetch_add(1, std::memory_order_relaxed) < kLinesPerSecond;
}

void set_level(Level level) {
  threshold().store(level, std::memory_order_relaxed);
}

bool enabled(Level level) {
  return level != Level::kOff && level >= threshold().load(std::memory_order_relaxed);
}

void write(Level level, std::string_view line) {
  if (enabled(level)) {
    sink().log(to_spdlog(level), "{}", printable(line));
  }
}

}  // namespace baton::log
