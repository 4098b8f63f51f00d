// Bounded reading of msgpack: items one after the other, nothing allocated, nothing trusted.
#pragma once

#include <cstddef>
#include <cstdint>
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

  /// For long lists: the next item, if it is an unsigned integer. Else nothing is read, and next()
  /// says what it is.
  bool take_unsigned(std::uint64_t& number) {
    if (rest_.empty()) {
      return false;
    }
    const auto head = static_cast<std::uint8_t>(rest_.front());
    if (head <= 0x7F) {
      number = head;
      rest_.remove_prefix(1);
      return true;
    }
    if (head < 0xCC || head > 0xCF) {
      return false;
    }
    const std::size_t width = std::size_t{1} << (head - 0xCCU);
    if (width >= rest_.size()) {
      return false;
    }
    number = 0;
    for (std::size_t i = 1; i <= width; ++i) {
      number = number << 8U | static_cast<std::uint8_t>(rest_[i]);
    }
    rest_.remove_prefix(1 + width);
    return true;
  }

  /// Likewise, if it is a str of at most 65,535 bytes.
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
  StatusOr<std::uint64_t> big_endian(std::size_t bytes);
  StatusOr<Item> integer(std::size_t bytes, bool is_signed);
  StatusOr<Item> sized(Item::Kind kind, std::size_t length_bytes);
  StatusOr<Item> bytes_of(Item::Kind kind, std::uint64_t length);
  StatusOr<Item> elements_of(Item::Kind kind, std::uint64_t count);
  StatusOr<Item> ext(std::uint64_t length);

  std::string_view rest_;
};

}  // namespace baton::wire
