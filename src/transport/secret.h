// What only two peers know.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace baton::transport {

inline constexpr std::size_t kSecretBytes = 32;

/// 256 random bits. Every copy wipes itself at the end of its life.
class Secret {
 public:
  using Bytes = std::span<const std::byte, kSecretBytes>;

  /// From the kernel's random source.
  static Secret random();
  explicit Secret(Bytes bytes);
  /// Zeros, which is a secret that anybody can guess: to be assigned to.
  Secret() = default;
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret();

  Bytes bytes() const { return bytes_; }

  /// Takes equally long whether and wherever they differ.
  friend bool operator==(const Secret& a, const Secret& b);

 private:
  std::array<std::byte, kSecretBytes> bytes_{};
};

}  // namespace baton::transport
