#include "src/wire/writer.h"

#include <array>
#include <limits>

namespace baton::wire {
namespace {

template <typename T>
bool fits(std::uint64_t value) {
  return value <= std::numeric_limits<T>::max();
}

template <typename T>
bool fits(std::int64_t value) {
  return value >= std::numeric_limits<T>::min();
}

}  // namespace

void Writer::head(std::uint8_t byte, std::uint64_t number, std::size_t number_bytes) {
  std::array<char, 9> bytes;
  bytes[0] = static_cast<char>(byte);
  for (std::size_t i = number_bytes; i > 0; --i) {
    bytes[i] = static_cast<char>(number & 0xFFU);
    number >>= 8U;
  }
  out_.append(bytes.data(), 1 + number_bytes);
}

void Writer::boolean(bool value) {
  head(value ? 0xC3 : 0xC2, 0, 0);
}

void Writer::integer(std::uint64_t value) {
  if (value <= 0x7F) {
    head(static_cast<std::uint8_t>(value), 0, 0);
  } else if (fits<std::uint8_t>(value)) {
    head(0xCC, value, 1);
  } else if (fits<std::uint16_t>(value)) {
    head(0xCD, value, 2);
  } else if (fits<std::uint32_t>(value)) {
    head(0xCE, value, 4);
  } else {
    head(0xCF, value, 8);
  }
}

void Writer::integer(std::int64_t value) {
  const auto raw = static_cast<std::uint64_t>(value);
  if (value >= 0) {
    integer(raw);
  } else if (value >= -32) {
    head(static_cast<std::uint8_t>(raw & 0xFFU), 0, 0);
  } else if (fits<std::int8_t>(value)) {
    head(0xD0, raw, 1);
  } else if (fits<std::int16_t>(value)) {
    head(0xD1, raw, 2);
  } else if (fits<std::int32_t>(value)) {
    head(0xD2, raw, 4);
  } else {
    head(0xD3, raw, 8);
  }
}

void Writer::str(std::string_view text) {
  const std::uint64_t length = text.size();
  if (length <= 31) {
    head(static_cast<std::uint8_t>(0xA0U | length), 0, 0);
  } else if (fits<std::uint8_t>(length)) {
    head(0xD9, length, 1);
  } else if (fits<std::uint16_t>(length)) {
    head(0xDA, length, 2);
  } else {
    head(0xDB, length, 4);
  }
  out_ += text;
}

void Writer::bin(std::string_view bytes) {
  const std::uint64_t length = bytes.size();
  if (fits<std::uint8_t>(length)) {
    head(0xC4, length, 1);
  } else if (fits<std::uint16_t>(length)) {
    head(0xC5, length, 2);
  } else {
    head(0xC6, length, 4);
  }
  out_ += bytes;
}

void Writer::array(std::size_t count) {
  if (count <= 15) {
    head(static_cast<std::uint8_t>(0x90U | count), 0, 0);
  } else if (fits<std::uint16_t>(std::uint64_t{count})) {
    head(0xDC, count, 2);
  } else {
    head(0xDD, count, 4);
  }
}

void Writer::map(std::size_t count) {
  if (count <= 15) {
    head(static_cast<std::uint8_t>(0x80U | count), 0, 0);
  } else if (fits<std::uint16_t>(std::uint64_t{count})) {
    head(0xDE, count, 2);
  } else {
    head(0xDF, count, 4);
  }
}

char* Writer::write_negative(char* to, std::int64_t value) {
  Writer one;
  one.integer(value);
  std::memcpy(to, one.out_.data(), one.out_.size());
  return to + one.out_.size();
}

char* Writer::write_long_str_head(char* to, std::size_t length) {
  Writer one;
  if (fits<std::uint16_t>(std::uint64_t{length})) {
    one.head(0xDA, length, 2);
  } else {
    one.head(0xDB, length, 4);
  }
  std::memcpy(to, one.out_.data(), one.out_.size());
  return to + one.out_.size();
}

}  // namespace baton::wire
