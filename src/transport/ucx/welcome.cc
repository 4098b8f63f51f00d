#include "src/transport/ucx/welcome.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <optional>

#include "src/base/checked.h"
#include "src/transport/little_endian.h"

namespace baton::transport::ucx {
namespace {

constexpr std::string_view kMagic = "BTNU";
constexpr std::string_view kLabel = "BTNUCXWELCOME";
constexpr std::uint16_t kVersion = 1;

using Key = std::array<unsigned char, crypto_secretbox_KEYBYTES>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

template <typename T>
void append(std::string& to, T value) {
  std::array<std::byte, sizeof(T)> bytes;
  store(bytes.data(), value);
  to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

/// A key of this connection's own: the ticket's secret proves, it does not encrypt.
Key key_of(const Secret& secret, const tcp::Hello& hello) {
  std::string context(kLabel);
  append(context, hello.connection);
  context.append(reinterpret_cast<const char*>(hello.nonce.data()), hello.nonce.size());
  Key key;
  crypto_generichash(key.data(), key.size(), bytes_of(context), context.size(),
                     reinterpret_cast<const unsigned char*>(secret.bytes().data()),
                     secret.bytes().size());
  return key;
}

/// Reads from the front. Once something is missing, all that follows is, too.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  T number() {
    const std::string_view bytes = take(sizeof(T));
    return bytes.empty() ? T{0} : load<T>(reinterpret_cast<const std::byte*>(bytes.data()));
  }
  std::string blob() {
    const auto size = number<std::uint16_t>();
    valid_ = valid_ && size > 0 && size <= kMaxBlobBytes;
    return std::string(take(size));
  }
  std::string_view take(std::size_t size) {
    valid_ = valid_ && size <= rest_.size();
    if (!valid_) {
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  bool valid() const { return valid_; }
  bool at_end() const { return valid_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool valid_ = true;
};

bool makes_sense(const Welcome& welcome) {
  const auto bytes = checked_multiply(welcome.page_bytes, welcome.page_count);
  return welcome.page_bytes > 0 && welcome.page_count > 0 && bytes.has_value() &&
         checked_add(welcome.base_address, *bytes).has_value();
}

StatusOr<Welcome> parse(std::string_view plain) {
  Fields fields(plain);
  const bool known =
      fields.take(kMagic.size()) == kMagic && fields.number<std::uint16_t>() == kVersion;
  Welcome welcome;
  const auto rails = fields.number<std::uint16_t>();
  welcome.page_count = fields.number<std::uint32_t>();
  welcome.base_address = fields.number<std::uint64_t>();
  welcome.page_bytes = fields.number<std::uint64_t>();
  if (!known || !fields.valid() || rails == 0 || rails > kMaxRails || !makes_sense(welcome)) {
    return absl::DataLossError(std::string("the receiver's description of its memory is nonsense"));
  }
  for (std::size_t i = 0; i < rails; ++i) {
    Welcome::Rail rail{.worker_address = fields.blob(), .rkey = fields.blob()};
    welcome.rails.push_back(std::move(rail));
  }
  if (!fields.at_end()) {
    return absl::DataLossError(
        std::string("the receiver's description of its rails is cut short, or too long"));
  }
  return welcome;
}

}  // namespace

std::string seal(const Welcome& welcome, const Secret& secret, const tcp::Hello& hello) {
  std::string plain(kMagic);
  append(plain, kVersion);
  append(plain, static_cast<std::uint16_t>(welcome.rails.size()));
  append(plain, welcome.page_count);
  append(plain, welcome.base_address);
  append(plain, welcome.page_bytes);
  for (const Welcome::Rail& rail : welcome.rails) {
    for (const std::string* blob : {&rail.worker_address, &rail.rkey}) {
      append(plain, static_cast<std::uint16_t>(blob->size()));
      plain += *blob;
    }
  }
  std::string sealed(crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + plain.size(), '\0');
  randombytes_buf(sealed.data(), crypto_secretbox_NONCEBYTES);
  Key key = key_of(secret, hello);
  crypto_secretbox_easy(bytes_of(sealed) + crypto_secretbox_NONCEBYTES, bytes_of(plain),
                        plain.size(), bytes_of(sealed), key.data());
  sodium_memzero(key.data(), key.size());
  return sealed;
}

StatusOr<Welcome> open_sealed(std::string_view sealed, const Secret& secret,
                              const tcp::Hello& hello) {
  constexpr std::size_t kOverhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
  if (sealed.size() < kOverhead || sealed.size() > kMaxWelcomeBytes) {
    return absl::DataLossError(fmt::format("a sealed description of {} bytes: {} to {} are allowed",
                                           sealed.size(), kOverhead, kMaxWelcomeBytes));
  }
  const std::string_view box = sealed.substr(crypto_secretbox_NONCEBYTES);
  std::string plain(sealed.size() - kOverhead, '\0');
  Key key = key_of(secret, hello);
  const bool genuine = crypto_secretbox_open_easy(bytes_of(plain), bytes_of(box), box.size(),
                                                  bytes_of(sealed), key.data()) == 0;
  sodium_memzero(key.data(), key.size());
  if (!genuine) {
    return absl::PermissionDeniedError(
        std::string("the description of the receiver's memory is not from the receiver"));
  }
  return parse(plain);
}

}  // namespace baton::transport::ucx
