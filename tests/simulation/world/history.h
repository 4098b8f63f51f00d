// What happened, in order: printed when asked for, and always summed up in a digest.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include "src/base/scheduler.h"

namespace baton::simulation {

/// Two runs of one seed have the same history if their digests are equal.
class History {
 public:
  History(const Scheduler& clock, bool verbose) : clock_(clock), verbose_(verbose) {}

  /// `who` is a process, or "" for the world around them.
  template <typename... Args>
  void note(std::string_view who, fmt::format_string<Args...> format, Args&&... args) {
    line_.clear();
    fmt::format_to(std::back_inserter(line_), format, std::forward<Args>(args)...);
    add(who, {line_.data(), line_.size()});
  }

  std::uint64_t digest() const { return digest_; }
  bool verbose() const { return verbose_; }

 private:
  void add(std::string_view who, std::string_view what);
  void mix(std::string_view bytes);

  const Scheduler& clock_;
  const bool verbose_;
  fmt::memory_buffer line_;
  std::uint64_t digest_ = 0xCBF29CE484222325U;
};

}  // namespace baton::simulation
