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
