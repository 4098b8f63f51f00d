// Bytes in, lines out, within a bound.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace baton::demo {

/// Far above the longest message: a prompt of a whole context, written out.
inline constexpr std::size_t kMaxLineBytes = std::size_t{16} << 20U;

class LineBuffer {
 public:
  /// False once an unfinished line is longer than kMaxLineBytes.
  bool append(std::string_view bytes) {
    bytes_ += bytes;
    return bytes_.size() <= kMaxLineBytes || bytes_.find('\n') != std::string::npos;
  }

  /// The next whole line without its end, if there is one.
  std::optional<std::string> next() {
    const std::size_t end = bytes_.find('\n', searched_);
    if (end == std::string::npos) {
      searched_ = bytes_.size();
      return std::nullopt;
    }
    std::string line = bytes_.substr(0, end);
    bytes_.erase(0, end + 1);
    searched_ = 0;
    return line;
  }

 private:
  std::string bytes_;
  std::size_t searched_ = 0;  // no line ends before this
};

}  // namespace baton::demo
