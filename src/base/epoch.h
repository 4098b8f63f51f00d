// Names of process incarnations.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "baton/status.h"

namespace baton {

/// 128 random bits that name one incarnation of a process. A restarted process has another.
struct Epoch {
  std::array<std::uint8_t, 16> bytes{};

  /// From the kernel's random source.
  static Epoch random();
  /// Exactly 16 bytes, not all zero.
  static StatusOr<Epoch> from_bytes(std::string_view raw);

  std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  /// 32 lower-case hex digits.
  std::string hex() const;
  /// The first 8 hex digits, for logs.
  std::string brief() const;

  auto operator<=>(const Epoch&) const = default;

  template <typename H>
  friend H AbslHashValue(H state, const Epoch& epoch) {
    return H::combine(std::move(state), epoch.bytes);
  }
};

}  // namespace baton
