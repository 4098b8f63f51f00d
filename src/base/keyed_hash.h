// A hash that peers can't foresee.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace baton {

/// XXH3 (64 bits) under a random secret of its own: whoever chooses the texts can't choose ones
/// that meet in a table. Two objects give different values.
class KeyedHash {
 public:
  KeyedHash();
  std::uint64_t operator()(std::string_view text) const;

 private:
  std::array<std::uint8_t, 192> secret_;
};

}  // namespace baton
