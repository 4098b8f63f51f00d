#include "src/transport/nixl/welcome.h"

#include <array>

#include "src/base/checked.h"
#include "src/transport/little_endian.h"
#include "src/transport/nixl/metadata.h"

namespace baton::transport::nixl {
namespace {

constexpr std::string_view kMagic = "BTNN";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHeadBytes = 4 + 2 + 2 + 4 + 8 + 8 + 8 + 4;

template <typename T>
void append(std::string& to, T value) {
  std::array<std::byte, sizeof(T)> bytes;
  store(bytes.data(), value);
  to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

template <typename T>
T take(std::string_view& bytes) {
  const T value = load<T>(reinterpret_cast<const std::byte*>(bytes.data()));
  bytes.remove_prefix(sizeof(T));
  return value;
}

Status nonsense() {
  return absl::DataLossError(
      std::string("the receiver's description of its memory and its NIXL agent is nonsense"));
}

bool makes_sense(const Welcome& welcome, const Metadata& metadata) {
  const auto bytes = checked_multiply(welcome.page_bytes, welcome.page_count);
  const bool bounded = welcome.page_count > 0 && welcome.page_count <= kMaxWelcomePages &&
                       welcome.page_bytes >= kMinWelcomePageBytes;
  return bounded && bytes.has_value() && covers(metadata, welcome.base_address, *bytes, 0) &&
         covers(metadata, welcome.probe_address, kProbeBytes, 0);
}

}  // namespace

std::string encode(const Welcome& welcome) {
  std::string bytes(kMagic);
  append(bytes, kVersion);
  append(bytes, std::uint16_t{0});
  append(bytes, welcome.page_count);
  append(bytes, welcome.base_address);
  append(bytes, welcome.page_bytes);
  append(bytes, welcome.probe_address);
  append(bytes, static_cast<std::uint32_t>(welcome.metadata.size()));
  bytes += welcome.metadata;
  return bytes;
}

StatusOr<Welcome> parse_welcome(std::string_view bytes) {
  if (bytes.size() < kHeadBytes || !bytes.starts_with(kMagic)) {
    return nonsense();
  }
  bytes.remove_prefix(kMagic.size());
  const auto version = take<std::uint16_t>(bytes);
  const auto reserved = take<std::uint16_t>(bytes);
  Welcome welcome;
  welcome.page_count = take<std::uint32_t>(bytes);
  welcome.base_address = take<std::uint64_t>(bytes);
  welcome.page_bytes = take<std::uint64_t>(bytes);
  welcome.probe_address = take<std::uint64_t>(bytes);
  const auto metadata_bytes = take<std::uint32_t>(bytes);
  if (version != kVersion || reserved != 0 || metadata_bytes != bytes.size() ||
      metadata_bytes > kMaxWelcomeMetadataBytes) {
    return nonsense();
  }
  const auto metadata = check_metadata(bytes);
  if (!metadata.ok()) {
    return metadata.status();
  }
  if (!makes_sense(welcome, *metadata)) {
    return nonsense();
  }
  welcome.metadata = std::string(bytes);
  return welcome;
}

}  // namespace baton::transport::nixl
