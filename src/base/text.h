// Small helpers for text that comes from outside.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace baton {

/// Bytes of the well-formed UTF-8 sequence that `text` begins with; 0 if it begins with none.
/// Overlong forms, surrogates and values above U+10FFFF are not well-formed (RFC 3629).
inline std::size_t utf8_sequence_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) {
    return text.empty() ? 0 : 1;
  }
  if (lead >= 0xC2 && lead <= 0xDF) {
    return continues(1) ? 2 : 0;
  }
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool overlong = lead == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = lead == 0xED && byte(1) >= 0xA0;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool overlong = lead == 0xF0 && byte(1) < 0x90;
    const bool too_large = lead == 0xF4 && byte(1) >= 0x90;
    return continues(1) && continues(2) && continues(3) && !overlong && !too_large ? 4 : 0;
  }
  return 0;
}

inline bool is_utf8(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080U;
  while (!text.empty()) {
    std::uint64_t word = 0;  // eight bytes of ASCII at a time: nearly all there is
    if (text.size() >= sizeof word) {
      std::memcpy(&word, text.data(), sizeof word);
      if ((word & kHighBits) == 0) {
        text.remove_prefix(sizeof word);
        continue;
      }
    }
    const std::size_t bytes = utf8_sequence_bytes(text);
    if (bytes == 0) {
      return false;
    }
    text.remove_prefix(bytes);
  }
  return true;
}

/// a == b of short texts, without a call.
inline bool same_text(std::string_view a, std::string_view b) {
  constexpr std::size_t kStep = sizeof(std::uint64_t);
  if (a.size() != b.size()) {
    return false;
  }
  const auto differs = [&](std::size_t at) {
    std::uint64_t left = 0;
    std::uint64_t right = 0;
    std::memcpy(&left, a.data() + at, kStep);
    std::memcpy(&right, b.data() + at, kStep);
    return left != right;
  };
  if (a.size() < kStep) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (a[i] != b[i]) {
        return false;
      }
    }
    return true;
  }
  for (std::size_t at = 0; at + kStep < a.size(); at += kStep) {
    if (differs(at)) {
      return false;
    }
  }
  return !differs(a.size() - kStep);
}

/// `text` between single quotes for an error message: what is not printable ASCII is escaped, and
/// what is long is cut, so that hostile input can neither forge nor flood a log.
inline std::string quote(std::string_view text) {
  constexpr std::size_t kMaxShown = 64;
  std::string out = "'";
  for (const char c : text.substr(0, kMaxShown)) {
    if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<std::uint8_t>(c)));
    }
  }
  out += text.size() > kMaxShown ? fmt::format("'… ({} bytes)", text.size()) : "'";
  return out;
}

/// The longest beginning of `text` that has at most `bytes` bytes and ends between characters.
inline std::string clip(std::string_view text, std::size_t bytes) {
  std::size_t kept = 0;
  while (kept < text.size()) {
    const std::size_t next = utf8_sequence_bytes(text.substr(kept));
    if (next == 0 || kept + next > bytes) {
      break;
    }
    kept += next;
  }
  return std::string(text.substr(0, kept));
}

}  // namespace baton
