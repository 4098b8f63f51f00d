#include "src/transport/nixl/metadata.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/checked.h"
#include "src/transport/little_endian.h"

namespace baton::transport::nixl {
namespace {

constexpr std::string_view kMagic = "nixlSerDes|";
constexpr std::string_view kBackend = "UCX";
constexpr std::uint32_t kHostMemory = 0;  // DRAM_SEG
constexpr std::size_t kDescriptorBytes = 24;
/// Of a worker's address, or a key.
constexpr std::size_t kMaxBlobBytes = 8U << 10U;

/// Reads fields from the front: a tag, eight bytes of length, the bytes, and '|'. Once something is
/// wrong, all that follows is, too.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  std::string_view take(std::size_t size) {
    valid_ = valid_ && size <= rest_.size();
    if (!valid_) {
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  void expect(std::string_view bytes) { valid_ = take(bytes.size()) == bytes && valid_; }
  void require(bool holds) { valid_ = valid_ && holds; }

  std::string_view text(std::string_view tag, std::size_t max_bytes) {
    expect(tag);
    const auto size = number<std::uint64_t>();
    require(size > 0 && size <= max_bytes);
    const std::string_view bytes = take(size);
    expect("|");
    return bytes;
  }
  /// A field that holds one number, as it is in memory.
  template <typename T>
  T value(std::string_view tag) {
    expect(tag);
    require(number<std::uint64_t>() == sizeof(T));
    const T value = number<T>();
    expect("|");
    return value;
  }

  bool valid() const { return valid_; }
  bool at_end() const { return valid_ && rest_.empty(); }

 private:
  template <typename T>
  T number() {
    const std::string_view bytes = take(sizeof(T));
    return valid_ ? load<T>(reinterpret_cast<const std::byte*>(bytes.data())) : T{0};
  }

  std::string_view rest_;
  bool valid_ = true;
};

Metadata::Region parse_region(std::string_view bytes) {
  const auto* const at = reinterpret_cast<const std::byte*>(bytes.data());
  return {.address = load<std::uint64_t>(at),
          .length_bytes = load<std::uint64_t>(at + 8),
          .device = load<std::uint64_t>(at + 16)};
}

void parse_regions(Fields& fields, Metadata& metadata) {
  fields.require(fields.text("bknd", kBackend.size()) == kBackend);
  fields.require(fields.text("nixlDList", 16) == "nixlSDList");
  fields.require(fields.value<std::uint32_t>("t") == kHostMemory);
  const auto count = fields.value<std::uint64_t>("n");
  fields.require(count > 0 && count <= kMaxRegions);
  for (std::uint64_t i = 0; fields.valid() && i < count; ++i) {
    const std::string_view bytes = fields.text("", kDescriptorBytes + kMaxBlobBytes);
    fields.require(bytes.size() > kDescriptorBytes);  // a key follows
    if (fields.valid()) {
      metadata.regions.push_back(parse_region(bytes));
      const auto& region = metadata.regions.back();
      fields.require(region.length_bytes > 0 &&
                     checked_add(region.address, region.length_bytes).has_value());
    }
  }
}

}  // namespace

StatusOr<Metadata> check_metadata(std::string_view bytes) {
  if (bytes.size() > kMaxMetadataBytes) {
    return absl::DataLossError(fmt::format("metadata of a NIXL agent of {} bytes; at most {} fit",
                                           bytes.size(), kMaxMetadataBytes));
  }
  Fields fields(bytes);
  Metadata metadata;
  fields.expect(kMagic);
  metadata.agent_name = std::string(fields.text("Agent", kMaxAgentNameBytes));
  fields.require(fields.value<std::uint64_t>("Conns") == 1);
  fields.require(fields.text("t", kBackend.size()) == kBackend);
  fields.text("c", kMaxBlobBytes);
  fields.require(fields.text("", 16) == "MemSection");
  const auto sections = fields.value<std::uint64_t>("nixlSecElms");
  fields.require(sections <= 1);
  if (sections == 1) {
    parse_regions(fields, metadata);
  }
  if (!fields.at_end()) {
    return absl::DataLossError(std::string(
        "the metadata of a NIXL agent is not what an agent with the UCX backend alone, and host "
        "memory alone, exports"));
  }
  return metadata;
}

bool covers(const Metadata& metadata, std::uint64_t address, std::uint64_t length_bytes,
            std::uint64_t device) {
  return std::any_of(metadata.regions.begin(), metadata.regions.end(),
                     [&](const Metadata::Region& region) {
                       return device == region.device && address >= region.address &&
                              length_bytes <= region.length_bytes &&
                              address - region.address <= region.length_bytes - length_bytes;
                     });
}

}  // namespace baton::transport::nixl
