// Arithmetic on numbers that come from outside: no result instead of a wrong one.
#pragma once

#include <cstddef>
#include <optional>

namespace baton {

inline std::optional<std::size_t> checked_multiply(std::size_t a, std::size_t b) {
  std::size_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    return std::nullopt;
  }
  return product;
}

inline std::optional<std::size_t> checked_add(std::size_t a, std::size_t b) {
  std::size_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) {
    return std::nullopt;
  }
  return sum;
}

/// Up to the next multiple of `step`, which is a power of two.
inline std::optional<std::size_t> checked_round_up(std::size_t value, std::size_t step) {
  const auto raised = checked_add(value, step - 1);
  if (!raised) {
    return std::nullopt;
  }
  return *raised & ~(step - 1);
}

}  // namespace baton
