#include "src/transport/ucx/sealing.h"

#include <fmt/format.h>
#include <sodium.h>

#include <array>

#include "src/transport/little_endian.h"

namespace baton::transport::ucx {
namespace {

constexpr std::string_view kLabel = "BTNUCXWELCOME";
constexpr std::size_t kOverheadBytes = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

/// A key of this connection's own, which wipes itself: the ticket's secret proves, it does not
/// encrypt.
class Key {
 public:
  Key(const Secret& secret, const tcp::Hello& hello) {
    std::string context(kLabel);
    std::array<std::byte, sizeof(hello.connection)> connection;
    store(connection.data(), hello.connection);
    context.append(reinterpret_cast<const char*>(connection.data()), connection.size());
    context.append(reinterpret_cast<const char*>(hello.nonce.data()), hello.nonce.size());
    crypto_generichash(bytes_.data(), bytes_.size(), bytes_of(context), context.size(),
                       reinterpret_cast<const unsigned char*>(secret.bytes().data()),
                       secret.bytes().size());
  }
  ~Key() { sodium_memzero(bytes_.data(), bytes_.size()); }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;

  const unsigned char* data() const { return bytes_.data(); }

 private:
  std::array<unsigned char, crypto_secretbox_KEYBYTES> bytes_;
};

}  // namespace

std::string seal(std::string_view plain, const Secret& secret, const tcp::Hello& hello) {
  std::string sealed(kOverheadBytes + plain.size(), '\0');
  randombytes_buf(sealed.data(), crypto_secretbox_NONCEBYTES);
  crypto_secretbox_easy(bytes_of(sealed) + crypto_secretbox_NONCEBYTES, bytes_of(plain),
                        plain.size(), bytes_of(sealed), Key(secret, hello).data());
  return sealed;
}

StatusOr<std::string> open_sealed(std::string_view sealed, const Secret& secret,
                                  const tcp::Hello& hello) {
  if (sealed.size() < kOverheadBytes || sealed.size() > kMaxSealedBytes) {
    return absl::DataLossError(fmt::format("a sealed message of {} bytes: {} to {} are allowed",
                                           sealed.size(), kOverheadBytes, kMaxSealedBytes));
  }
  const std::string_view box = sealed.substr(crypto_secretbox_NONCEBYTES);
  std::string plain(sealed.size() - kOverheadBytes, '\0');
  if (crypto_secretbox_open_easy(bytes_of(plain), bytes_of(box), box.size(), bytes_of(sealed),
                                 Key(secret, hello).data()) != 0) {
    return absl::PermissionDeniedError(
        std::string("what describes the receiver's memory is not from the receiver"));
  }
  return plain;
}

void wipe(std::string& secret) {
  sodium_memzero(secret.data(), secret.size());
}

}  // namespace baton::transport::ucx
