#include "src/security/key.h"

#include <fmt/format.h>
#include <sodium.h>

#include <cstdlib>

#include "src/base/text.h"

namespace baton::security {
namespace {

constexpr std::size_t kHexDigits = 2 * kKeyBytes;

static_assert(kKeyBytes == crypto_box_SECRETKEYBYTES && kKeyBytes == crypto_box_PUBLICKEYBYTES);

void require_sodium() {
  if (sodium_init() < 0) {
    std::abort();  // No source of randomness: nothing that needs a key can go on.
  }
}

/// All of `hex`, or nothing.
bool from_hex(std::string_view hex, KeyBytes& bytes) {
  std::size_t count = 0;
  const char* end = nullptr;
  return hex.size() == kHexDigits &&
         sodium_hex2bin(bytes.data(), bytes.size(), hex.data(), hex.size(), nullptr, &count,
                        &end) == 0 &&
         count == kKeyBytes && end == hex.data() + hex.size();
}

}  // namespace

StatusOr<PublicKey> PublicKey::parse(std::string_view hex) {
  KeyBytes bytes;
  if (!from_hex(hex, bytes)) {
    return absl::InvalidArgumentError(fmt::format(
        "{} is no public key; it must be {} hex digits, as `baton keys generate` writes them",
        quote(hex), kHexDigits));
  }
  return PublicKey(bytes);
}

std::string PublicKey::hex() const {
  std::string text;
  for (const std::uint8_t byte : bytes_) {
    text += fmt::format("{:02x}", byte);
  }
  return text;
}

SecretKey SecretKey::generate() {
  require_sodium();
  SecretKey key;
  KeyBytes unused;
  crypto_box_keypair(unused.data(), key.bytes_.data());
  return key;
}

StatusOr<SecretKey> SecretKey::parse(std::string_view hex) {
  SecretKey key;
  if (!from_hex(hex, key.bytes_)) {
    return absl::InvalidArgumentError(
        fmt::format("this is no secret key; it must be {} hex digits", kHexDigits));
  }
  return key;
}

SecretKey::SecretKey(SecretKey&& other) noexcept : bytes_(other.bytes_) {
  sodium_memzero(other.bytes_.data(), other.bytes_.size());
}

SecretKey::~SecretKey() {
  sodium_memzero(bytes_.data(), bytes_.size());
}

PublicKey SecretKey::public_key() const {
  require_sodium();
  KeyBytes bytes;
  if (crypto_scalarmult_base(bytes.data(), bytes_.data()) != 0) {
    std::abort();  // libsodium knows no failure here.
  }
  return PublicKey(bytes);
}

void wipe(std::string& text) {
  sodium_memzero(text.data(), text.size());
  text.clear();
}

}  // namespace baton::security
