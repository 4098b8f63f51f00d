// Hex digits of chunk hashes, eight at a time.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace baton {

/// Up to 256 bits; the first word is the most significant.
using HexNumber = std::array<std::uint64_t, 4>;

namespace detail {

/// Eight lower-case digits as a number; false if one of them is none.
inline bool read_hex_digits(const char* digits, std::uint32_t& value) {
  static_assert(std::endian::native == std::endian::little);
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  std::uint64_t text = 0;
  std::memcpy(&text, digits, sizeof text);
  text = __builtin_bswap64(text);
  // '0' to '9' are 0x30 …, 'a' to 'f' are 0x61 …: bit 6 tells them apart.
  std::uint64_t nibbles = (text & (0x0F * kOnes)) + 9 * (text >> 6U & kOnes);
  const std::uint64_t letters = (nibbles + 6 * kOnes) >> 4U & kOnes;
  const std::uint64_t expected = nibbles + 0x30 * kOnes + 0x27 * letters;
  if (text != expected || (nibbles & (0xF0 * kOnes)) != 0) {
    return false;
  }
  nibbles = (nibbles | nibbles >> 4U) & 0x00FF00FF00FF00FFU;
  nibbles = (nibbles | nibbles >> 8U) & 0x0000FFFF0000FFFFU;
  value = static_cast<std::uint32_t>(nibbles | nibbles >> 16U);
  return true;
}

/// Fewer than sixteen digits, at least one.
inline bool read_short_hex(std::string_view digits, std::uint64_t& value) {
  constexpr std::size_t kStep = 8;
  std::array<char, 2 * kStep> padded;
  padded.fill('0');
  std::memcpy(padded.data() + padded.size() - digits.size(), digits.data(), digits.size());
  std::uint32_t high = 0;
  std::uint32_t low = 0;
  const bool are_digits =
      read_hex_digits(padded.data(), high) && read_hex_digits(padded.data() + kStep, low);
  value = std::uint64_t{high} << 32U | low;
  return are_digits;
}

}  // namespace detail

/// Lower-case digits without leading zeros ("0" is zero): exactly what write_hex() writes. False
/// for any other text, and for a number beyond 256 bits; `number` is anything then.
[[gnu::always_inline]] inline bool read_hex(std::string_view digits, HexNumber& number) {
  constexpr std::size_t kWord = 16;  // digits
  if (digits.empty() || digits.size() > 2 * sizeof number ||
      (digits[0] == '0' && digits.size() > 1)) {
    return false;
  }
  number = {};
  std::size_t word = number.size();
  std::size_t left = digits.size();
  for (; left >= kWord; left -= kWord) {
    std::uint32_t high = 0;
    std::uint32_t low = 0;
    const char* const at = digits.data() + left - kWord;
    const bool is_high = detail::read_hex_digits(at, high);
    if (!detail::read_hex_digits(at + kWord / 2, low) || !is_high) {
      return false;
    }
    number[--word] = std::uint64_t{high} << 32U | low;
  }
  return left == 0 || detail::read_short_hex(digits.substr(0, left), number[word - 1]);
}

/// Appends the digits.
inline void write_hex(const HexNumber& number, std::string& out) {
  bool begun = false;
  for (int shift = 252; shift >= 0; shift -= 4) {
    const auto at = static_cast<unsigned>(shift);
    const auto digit = static_cast<unsigned>(number[3 - at / 64] >> (at % 64) & 0xFU);
    begun = begun || digit != 0 || shift == 0;
    if (begun) {
      out += "0123456789abcdef"[digit];
    }
  }
}

}  // namespace baton
