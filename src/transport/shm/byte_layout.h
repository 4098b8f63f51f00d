// Fixed-size little-endian records: offers, tickets, packets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace baton::transport::shm {

using Bytes16 = std::array<std::uint8_t, 16>;
using Bytes32 = std::array<std::byte, 32>;

class RecordWriter {
 public:
  template <typename Integer>
  RecordWriter& put(Integer value) {
    for (std::size_t i = 0; i < sizeof(value); ++i) {
      bytes_.push_back(static_cast<char>((static_cast<std::uint64_t>(value) >> (8 * i)) & 0xFFU));
    }
    return *this;
  }
  RecordWriter& put(const Bytes16& value) {
    bytes_.append(reinterpret_cast<const char*>(value.data()), value.size());
    return *this;
  }
  RecordWriter& put_bytes(std::span<const std::byte> value) {
    bytes_.append(reinterpret_cast<const char*>(value.data()), value.size());
    return *this;
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// The caller checks the record's size first; reading past the end gives zeros.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename Integer>
  Integer get() {
    std::uint64_t value = 0;
    const std::string_view raw = next(sizeof(Integer));
    for (std::size_t i = 0; i < raw.size(); ++i) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(raw[i])) << (8 * i);
    }
    return static_cast<Integer>(value);
  }
  Bytes16 get_bytes16() { return get_array<Bytes16>(); }
  Bytes32 get_bytes32() { return get_array<Bytes32>(); }

 private:
  template <typename Array>
  Array get_array() {
    Array value{};
    const std::string_view raw = next(value.size());
    if (!raw.empty()) {
      std::memcpy(value.data(), raw.data(), raw.size());
    }
    return value;
  }
  std::string_view next(std::size_t count) {
    const std::string_view head = bytes_.substr(0, count);
    bytes_.remove_prefix(head.size());
    return head;
  }

  std::string_view bytes_;
};

}  // namespace baton::transport::shm
