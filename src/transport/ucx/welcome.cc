#include "src/transport/ucx/welcome.h"

#include <algorithm>
#include <array>

#include "src/base/checked.h"
#include "src/transport/little_endian.h"

namespace baton::transport::ucx {
namespace {

constexpr std::string_view kMagic = "BTNU";
constexpr std::uint16_t kVersion = 1;

template <typename T>
void append(std::string& to, T value) {
  std::array<std::byte, sizeof(T)> bytes;
  store(bytes.data(), value);
  to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
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

}  // namespace

std::string encode(const Welcome& welcome) {
  std::string bytes(kMagic);
  append(bytes, kVersion);
  append(bytes, static_cast<std::uint16_t>(welcome.rails.size()));
  append(bytes, welcome.page_count);
  append(bytes, welcome.base_address);
  append(bytes, welcome.page_bytes);
  for (const Welcome::Rail& rail : welcome.rails) {
    for (const std::string* blob : {&rail.worker_address, &rail.rkey}) {
      append(bytes, static_cast<std::uint16_t>(blob->size()));
      bytes += *blob;
    }
  }
  return bytes;
}

StatusOr<Welcome> parse_welcome(std::string_view bytes) {
  Fields fields(bytes);
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

}  // namespace baton::transport::ucx
