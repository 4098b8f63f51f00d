// What a NIXL agent exports, made by hand: for tests that send it in every wrong form.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace baton::testing {

/// NIXL's serialisation, field by field.
class NixlFields {
 public:
  NixlFields& text(const std::string& tag, const std::string& value) {
    bytes_ += tag + raw(std::uint64_t{value.size()}) + value + "|";
    return *this;
  }
  template <typename T>
  NixlFields& value(const std::string& tag, T value) {
    return text(tag, raw(value));
  }
  const std::string& bytes() const { return bytes_; }

  template <typename T>
  static std::string raw(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }

 private:
  std::string bytes_ = "nixlSerDes|";
};

struct NixlRegion {
  std::uint64_t address = 0x7000'0000'0000;
  std::uint64_t length = 1U << 20U;
  std::uint64_t device = 0;
  std::string key = "packed key";
};

struct NixlMetadata {
  std::string name = "lmcache-agent";
  std::uint64_t connections = 1;
  std::string backend = "UCX";
  std::string address = "worker address";
  std::uint64_t sections = 1;
  std::string list = "nixlSDList";
  std::uint32_t memory = 0;
  std::vector<NixlRegion> regions = {NixlRegion{}};
  std::uint64_t count = 1;
};

inline std::string serialise(const NixlMetadata& agent) {
  NixlFields fields;
  fields.text("Agent", agent.name).value("Conns", agent.connections);
  fields.text("t", agent.backend).text("c", agent.address).text("", "MemSection");
  fields.value("nixlSecElms", agent.sections);
  if (agent.sections > 0) {
    fields.text("bknd", agent.backend).text("nixlDList", agent.list);
    fields.value("t", agent.memory).value("n", agent.count);
    for (const NixlRegion& region : agent.regions) {
      fields.text("", NixlFields::raw(region.address) + NixlFields::raw(region.length) +
                          NixlFields::raw(region.device) + region.key);
    }
  }
  return fields.bytes();
}

}  // namespace baton::testing
