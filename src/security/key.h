// X25519 keys, as CurveZMQ uses them.
//
// Written as 64 hex digits: ZeroMQ's own Z85 has '#', '$', '&', '*' and '<' in its alphabet, which
// neither comments, shells nor YAML leave alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "baton/status.h"

namespace baton::security {

inline constexpr std::size_t kKeyBytes = 32;
using KeyBytes = std::array<std::uint8_t, kKeyBytes>;

class PublicKey {
 public:
  PublicKey() = default;
  explicit PublicKey(const KeyBytes& bytes) : bytes_(bytes) {}
  /// kInvalidArgument, naming what is wrong; the text is quoted, for it is no secret.
  static StatusOr<PublicKey> parse(std::string_view hex);

  std::string hex() const;
  const KeyBytes& bytes() const { return bytes_; }
  auto operator<=>(const PublicKey&) const = default;

 private:
  KeyBytes bytes_{};
};

/// Wiped when it goes; never printed, and never quoted in an error.
class SecretKey {
 public:
  static SecretKey generate();
  static StatusOr<SecretKey> parse(std::string_view hex);
  ~SecretKey();
  SecretKey(SecretKey&& other) noexcept;
  SecretKey& operator=(SecretKey&&) = delete;

  PublicKey public_key() const;
  const KeyBytes& bytes() const { return bytes_; }

 private:
  SecretKey() = default;
  KeyBytes bytes_{};
};

/// Overwrites text that has held a secret; the compiler can't leave it out.
void wipe(std::string& text);

}  // namespace baton::security
