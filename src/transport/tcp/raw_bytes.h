// Fields of fixed-size messages.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>

namespace baton::transport::tcp {

template <typename T>
void copy_in(std::byte* to, const T& from) {
  std::memcpy(to, from.data(), from.size());
}

template <typename T>
void copy_out(T& to, const std::byte* from) {
  std::memcpy(to.data(), from, to.size());
}

inline bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace baton::transport::tcp
