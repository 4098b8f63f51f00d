// Writing msgpack: always the shortest form, as msgspec and every other encoder does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace baton::wire {

/// Appends items to a string. Of arrays and maps only the head; the elements are written after it.
/// Lengths and counts must fit in 32 bits, msgpack's own limit.
class Writer {
 public:
  Writer() = default;
  /// Writes over what is in `memory`.
  explicit Writer(std::string memory) : out_(std::move(memory)) { out_.clear(); }

  void boolean(bool value);
  void integer(std::uint64_t value);
  void integer(std::int64_t value);
  void str(std::string_view text);
  void bin(std::string_view bytes);
  void array(std::size_t count);
  void map(std::size_t count);

  void reserve(std::size_t more_bytes) { out_.reserve(out_.size() + more_bytes); }

  /// Items that were encoded before.
  void append(std::string_view items) { out_ += items; }

  std::string take() && { return std::move(out_); }
  std::string_view bytes() const { return out_; }

 private:
  void head(std::uint8_t byte, std::uint64_t number, std::size_t number_bytes);

  std::string out_;
};

}  // namespace baton::wire
