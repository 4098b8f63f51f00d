// Bounded reading of msgpack: items one after the other, nothing allocated, nothing trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "baton/status.h"

namespace baton::wire {

/// One msgpack item. Of arrays and maps only the head: their elements follow as items.
struct Item {
  enum class Kind : std::uint8_t {
    kNil,
    kBool,      ///< number: 0 or 1
    kUnsigned,  ///< number
    kNegative,  ///< number: two's complement
    kFloat,     ///< payload: its bytes
    kStr,       ///< payload
    kBin,       ///< payload
    kExt,       ///< payload, without the type byte
    kArray,     ///< number: elements
    kMap,       ///< number: pairs
  };
  Kind kind = Kind::kNil;
  std::uint64_t number = 0;
  std::string_view payload;
};

/// "a string", "an array", … for error messages.
std::string_view kind_name(Item::Kind kind);

/// A cursor over bytes that must outlive it. Every length and count is checked against what is
/// left before it is believed: a returned payload is there in full, and a returned array or map has
/// at most as many elements as bytes are left.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  /// Any lengths in any of msgpack's encodings, minimal or not.
  StatusOr<Item> next();

  /// The next item with all that is in it; at most `max_depth` arrays and maps deep.
  Status skip(std::size_t max_depth);

  /// For long lists: the numbers that come next, up to `count`, as long as they are unsigned and at
  /// most `max`; returns how many. It may leave some that next() reads, too.
  template <typename T>
  std::size_t take_unsigned(T* numbers, std::size_t count, std::uint64_t max) {
    std::uint64_t number = 0;
    const char* at = rest_.data();
    const auto is_room = [&, end = at + rest_.size()] { return end - at > std::ptrdiff_t{8}; };
    std::size_t taken = 0;
    for (bool fits = true; fits && taken < count && is_room();) {
      const auto head = static_cast<std::uint8_t>(*at);
      if (head <= 0x7F && head <= max) {
        numbers[taken++] = static_cast<T>(head);
        ++at;
        continue;
      }
      if (head < 0xCC || head > 0xCF) {
        break;
      }
      const std::size_t width = std::size_t{1} << (head - 0xCCU);
      // Most are as wide as the one before: to suppose so is not to wait for each head.
      do {
        std::memcpy(&number, at + 1, sizeof number);
        number = __builtin_bswap64(number) >> (64 - 8 * width);
        fits = number <= max;
        if (fits) {
          numbers[taken++] = static_cast<T>(number);
          at += 1 + width;
        }
      } while (fits && taken < count && is_room() && static_cast<std::uint8_t>(*at) == head);
    }
    rest_.remove_prefix(static_cast<std::size_t>(at - rest_.data()));
    return taken;
  }

  /// The next item, if it is a str of at most 65,535 bytes. Else nothing is read, and next() says
  /// what it is.
  bool take_str(std::string_view& payload) {
    if (rest_.empty()) {
      return false;
    }
    const auto byte = [this](std::size_t at) -> std::size_t {
      return static_cast<std::uint8_t>(rest_[at]);
    };
    std::size_t begin = 1;
    std::size_t length = 0;
    if (byte(0) >= 0xA0 && byte(0) <= 0xBF) {
      length = byte(0) & 0x1FU;
    } else if (byte(0) == 0xD9 && rest_.size() >= 2) {
      begin = 2;
      length = byte(1);
    } else if (byte(0) == 0xDA && rest_.size() >= 3) {
      begin = 3;
      length = byte(1) << 8U | byte(2);
    } else {
      return false;
    }
    if (length > rest_.size() - begin) {
      return false;
    }
    payload = rest_.substr(begin, length);
    rest_.remove_prefix(begin + length);
    return true;
  }

  /// What has not been read yet.
  std::string_view rest() const { return rest_; }

 private:
  /// Up to `count` numbers and short texts, and how many there were before another item came.
  std::uint64_t skip_simple(std::uint64_t count);
  StatusOr<std::uint64_t> big_endian(std::size_t bytes);
  StatusOr<Item> integer(std::size_t bytes, bool is_signed);
  StatusOr<Item> sized(Item::Kind kind, std::size_t length_bytes);
  StatusOr<Item> bytes_of(Item::Kind kind, std::uint64_t length);
  StatusOr<Item> elements_of(Item::Kind kind, std::uint64_t count);
  StatusOr<Item> ext(std::uint64_t length);

  std::string_view rest_;
};

}  // namespace baton::wire
