// The chunks of the simulation: their names, and the bytes that each must have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "baton/tensor_meta.h"
#include "src/wire/messages.h"

namespace baton::simulation {

inline constexpr std::uint32_t kChunkTokens = 4;
/// What a receiver fills a page with when it grants it (pd_poison_pages).
inline constexpr std::byte kPoisonByte{0xDB};

/// A chunk of a prompt, the same for every rank. The number says how many tokens it has.
class ChunkNumber {
 public:
  static ChunkNumber of_document(std::uint64_t document, std::uint64_t position) {
    return ChunkNumber((document + 1) << 16U | position << 4U | kChunkTokens);
  }
  static ChunkNumber of_request(std::uint64_t request, std::uint64_t position,
                                std::uint32_t tokens) {
    return ChunkNumber((request + 1) << 32U | position << 4U | tokens);
  }
  static ChunkNumber from_raw(std::uint64_t raw) { return ChunkNumber(raw); }
  std::uint64_t raw() const { return raw_; }
  std::uint32_t tokens() const { return static_cast<std::uint32_t>(raw_ & 0xFU); }

 private:
  explicit ChunkNumber(std::uint64_t raw) : raw_(raw) {}
  std::uint64_t raw_;
};

wire::LayoutInfo layout_of(std::uint32_t ranks, std::uint32_t rank);
TensorMeta meta_of(std::uint32_t tokens);
std::size_t page_bytes();
std::string key_of(ChunkNumber chunk, std::uint32_t ranks, std::uint32_t rank);

/// Bytes by key: a function of the key alone, remembered.
class Content {
 public:
  const std::vector<std::byte>& of(std::string_view key);

 private:
  std::map<std::string, std::vector<std::byte>, std::less<>> known_;
};

}  // namespace baton::simulation
