// Writing msgpack: always the shortest form, as msgspec and every other encoder does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace baton::wire {

/// Appends items to a string. Of arrays and maps only the head; the elements are written after it.
/// Lengths and counts must fit in 32 bits, msgpack's own limit.
class Writer {
 public:
  Writer() = default;
  /// Writes over what is in `memory`.
  explicit Writer(std::string memory) : out_(std::move(memory)) { out_.clear(); }

  void boolean(bool value);
  void integer(std::uint64_t value);
  void integer(std::int64_t value);
  void str(std::string_view text);
  void bin(std::string_view bytes);
  void array(std::size_t count);
  void map(std::size_t count);

  /// For long lists: `at(i)` for each i below `count`, all of them numbers or states.
  template <typename At>
  void numbers(std::size_t count, At at) {
    char* to = make_room(count * kMaxNumberBytes);
    for (std::size_t i = 0; i < count; ++i) {
      to = write_number(to, at(i));
    }
    end_at(to);
  }
  /// Likewise, a list of texts that have `text_bytes` together.
  template <typename Texts>
  void strs(const Texts& texts, std::size_t text_bytes) {
    char* to = make_room(texts.size() * kMaxStrHeadBytes + text_bytes);
    for (const std::string_view text : texts) {
      to = write_str_head(to, text.size());
      std::memcpy(to, text.data(), text.size());
      to += text.size();
    }
    end_at(to);
  }

  void reserve(std::size_t more_bytes) { out_.reserve(out_.size() + more_bytes); }

  /// Items that were encoded before.
  void append(std::string_view items) { out_ += items; }

  std::string take() && { return std::move(out_); }
  std::string_view bytes() const { return out_; }

 private:
  static constexpr std::size_t kMaxNumberBytes = 9;
  static constexpr std::size_t kMaxStrHeadBytes = 5;

  char* make_room(std::size_t bytes) {
    const std::size_t begin = out_.size();
    out_.resize(begin + bytes);
    return out_.data() + begin;
  }
  void end_at(const char* end) { out_.resize(static_cast<std::size_t>(end - out_.data())); }

  /// These write up to the most that there can be, and return where the item ends.
  template <typename T>
  static char* write_number(char* to, T value) {
    if constexpr (std::is_enum_v<T>) {
      return write_number(to, static_cast<std::uint64_t>(value));
    } else {
      const auto raw = static_cast<std::uint64_t>(value);
      if (raw <= 0x7F) {
        *to = static_cast<char>(raw);
        return to + 1;
      }
      if constexpr (std::is_signed_v<T>) {
        if (value < 0) {
          if (value >= -32) {
            *to = static_cast<char>(value);
            return to + 1;
          }
          return write_negative(to, value);
        }
      }
      const unsigned log = raw <= 0xFF ? 0 : raw <= 0xFFFF ? 1 : raw <= 0xFFFFFFFF ? 2 : 3;
      const std::uint64_t bytes = __builtin_bswap64(raw << (64 - (8U << log)));
      *to = static_cast<char>(0xCCU + log);
      std::memcpy(to + 1, &bytes, sizeof bytes);
      return to + 1 + (std::size_t{1} << log);
    }
  }
  static char* write_negative(char* to, std::int64_t value);
  static char* write_str_head(char* to, std::size_t length) {
    if (length <= 31) {
      *to = static_cast<char>(0xA0U | length);
      return to + 1;
    }
    if (length <= 0xFF) {
      to[0] = static_cast<char>(0xD9);
      to[1] = static_cast<char>(length);
      return to + 2;
    }
    return write_long_str_head(to, length);
  }
  static char* write_long_str_head(char* to, std::size_t length);
  void head(std::uint8_t byte, std::uint64_t number, std::size_t number_bytes);

  std::string out_;
};

}  // namespace baton::wire
