#include "src/wire/reader.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>

namespace baton::wire {
namespace {

using Kind = Item::Kind;

Status invalid(std::string message) {
  return absl::InvalidArgumentError(std::move(message));
}

Status truncated(std::uint64_t need, std::size_t left) {
  return invalid(fmt::format("claims {} bytes, but {} are left", need, left));
}

/// How many bytes an item has in all, by its first byte; 0 for those of which more must be read.
constexpr std::array<std::uint8_t, 256> item_bytes() {
  std::array<std::uint8_t, 256> bytes{};
  for (std::size_t head = 0; head < bytes.size(); ++head) {
    const bool is_small_number = head <= 0x7F || head >= 0xE0;
    const bool is_short_text = head >= 0xA0 && head <= 0xBF;
    const bool is_number = head >= 0xCC && head <= 0xD3;
    bytes[head] = static_cast<std::uint8_t>(is_small_number ? 1
                                            : is_short_text ? 1 + (head & 0x1FU)
                                            : is_number     ? 1 + (1U << (head & 3U))
                                                            : 0U);
  }
  return bytes;
}

/// Two's complement of the low `bytes` bytes, spread to 64 bits.
std::uint64_t sign_extend(std::uint64_t value, std::size_t bytes) {
  const std::uint64_t sign = std::uint64_t{1} << (8 * bytes - 1);
  return (value ^ sign) - sign;
}

}  // namespace

std::string_view kind_name(Item::Kind kind) {
  static constexpr std::array<std::string_view, 10> kNames{
      "nil",          "a boolean", "an unsigned integer", "a negative integer", "a float",
      "a str (text)", "a bin",     "an extension",        "an array",           "a map"};
  return kNames.at(static_cast<std::size_t>(kind));
}

StatusOr<Item> Reader::next() {
  if (rest_.empty()) {
    return truncated(1, 0);
  }
  const auto head = static_cast<std::uint8_t>(rest_.front());
  rest_.remove_prefix(1);

  // The short forms carry their number in the head itself.
  if (head <= 0x7F) {
    return Item{.kind = Kind::kUnsigned, .number = head, .payload = {}};
  }
  if (head <= 0x8F) {
    return elements_of(Kind::kMap, head & 0x0FU);
  }
  if (head <= 0x9F) {
    return elements_of(Kind::kArray, head & 0x0FU);
  }
  if (head <= 0xBF) {
    return bytes_of(Kind::kStr, head & 0x1FU);
  }
  if (head >= 0xE0) {
    return Item{.kind = Kind::kNegative, .number = sign_extend(head, 1), .payload = {}};
  }

  // Within a family, each next head doubles the width.
  const auto width = [head](unsigned first) { return std::size_t{1} << (head - first); };
  switch (head) {
    case 0xC0:
      return Item{};
    case 0xC2:
    case 0xC3:
      return Item{.kind = Kind::kBool, .number = head & 1U, .payload = {}};
    case 0xC4:
    case 0xC5:
    case 0xC6:
      return sized(Kind::kBin, width(0xC4));
    case 0xC7:
    case 0xC8:
    case 0xC9:
      return sized(Kind::kExt, width(0xC7));
    case 0xCA:
    case 0xCB:
      return bytes_of(Kind::kFloat, 4 * width(0xCA));
    case 0xCC:
    case 0xCD:
    case 0xCE:
    case 0xCF:
      return integer(width(0xCC), false);
    case 0xD0:
    case 0xD1:
    case 0xD2:
    case 0xD3:
      return integer(width(0xD0), true);
    case 0xD4:
    case 0xD5:
    case 0xD6:
    case 0xD7:
    case 0xD8:
      return ext(width(0xD4));
    case 0xD9:
    case 0xDA:
    case 0xDB:
      return sized(Kind::kStr, width(0xD9));
    case 0xDC:
    case 0xDD:
      return sized(Kind::kArray, 2 * width(0xDC));
    case 0xDE:
    case 0xDF:
      return sized(Kind::kMap, 2 * width(0xDE));
    default:
      return invalid("has a byte 0xc1, which msgpack never uses");
  }
}

StatusOr<std::uint64_t> Reader::big_endian(std::size_t bytes) {
  if (bytes > rest_.size()) {
    return truncated(bytes, rest_.size());
  }
  std::uint64_t value = 0;
  for (const char c : rest_.substr(0, bytes)) {
    value = value << 8U | static_cast<std::uint8_t>(c);
  }
  rest_.remove_prefix(bytes);
  return value;
}

StatusOr<Item> Reader::integer(std::size_t bytes, bool is_signed) {
  const StatusOr<std::uint64_t> raw = big_endian(bytes);
  if (!raw.ok()) {
    return raw.status();
  }
  const std::uint64_t value = is_signed ? sign_extend(*raw, bytes) : *raw;
  const bool negative = is_signed && value >> 63U != 0;
  return Item{.kind = negative ? Kind::kNegative : Kind::kUnsigned, .number = value, .payload = {}};
}

StatusOr<Item> Reader::sized(Kind kind, std::size_t length_bytes) {
  const StatusOr<std::uint64_t> length = big_endian(length_bytes);
  if (!length.ok()) {
    return length.status();
  }
  switch (kind) {
    case Kind::kExt:
      return ext(*length);
    case Kind::kArray:
    case Kind::kMap:
      return elements_of(kind, *length);
    default:
      return bytes_of(kind, *length);
  }
}

StatusOr<Item> Reader::bytes_of(Kind kind, std::uint64_t length) {
  if (length > rest_.size()) {
    return truncated(length, rest_.size());
  }
  const std::string_view payload = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return Item{.kind = kind, .number = length, .payload = payload};
}

StatusOr<Item> Reader::elements_of(Kind kind, std::uint64_t count) {
  const std::uint64_t items = kind == Kind::kMap ? 2 * count : count;  // count is 32 bits at most
  if (items > rest_.size()) {
    return invalid(fmt::format("claims {} elements, but {} bytes are left", count, rest_.size()));
  }
  return Item{.kind = kind, .number = count, .payload = {}};
}

StatusOr<Item> Reader::ext(std::uint64_t length) {
  if (const StatusOr<std::uint64_t> type = big_endian(1); !type.ok()) {
    return type.status();
  }
  return bytes_of(Kind::kExt, length);
}

std::uint64_t Reader::skip_simple(std::uint64_t count) {
  static constexpr auto kItemBytes = item_bytes();
  const char* at = rest_.data();
  const char* const end = at + rest_.size();
  const auto bytes_at = [end](const char* item) -> std::ptrdiff_t {
    const auto head = static_cast<std::uint8_t>(*item);
    return head == 0xD9 && end - item >= 2 ? std::ptrdiff_t{2} + static_cast<std::uint8_t>(item[1])
                                           : kItemBytes[head];
  };
  std::uint64_t skipped = 0;
  while (skipped < count && at < end) {
    const std::ptrdiff_t bytes = bytes_at(at);
    if (bytes == 0 || bytes > end - at) {
      break;  // next() says what it is, or what is wrong with it.
    }
    // Most have the length of the one before them. To suppose so means not to wait for each head
    // before the next is read.
    do {
      at += bytes;
      ++skipped;
    } while (skipped < count && bytes < end - at && bytes_at(at) == bytes);
  }
  rest_.remove_prefix(static_cast<std::size_t>(at - rest_.data()));
  return skipped;
}

Status Reader::skip(std::size_t max_depth) {
  const StatusOr<Item> item = next();
  if (!item.ok()) {
    return item.status();
  }
  if (item->kind != Kind::kArray && item->kind != Kind::kMap) {
    return absl::OkStatus();
  }
  if (max_depth == 0) {
    return invalid("is nested too deeply");
  }
  const std::uint64_t inside = item->kind == Kind::kMap ? 2 * item->number : item->number;
  for (std::uint64_t i = skip_simple(inside); i < inside; i += 1 + skip_simple(inside - i - 1)) {
    if (Status status = skip(max_depth - 1); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace baton::wire
