// The memory that peers write into: pages of one size in one mapping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "baton/memory_obj.h"
#include "baton/status.h"
#include "src/base/unique_fd.h"

namespace baton {

/// `page_count` pages of `page_bytes` bytes, backed by a sealed memfd (so that a peer on this
/// host can map it), populated at creation. The mapping lives as long as the object; transports
/// that attached it must be joined first.
///
/// Threads: immutable after creation; the bytes are whoever's the protocol says they are.
class RegisteredBuffer {
 public:
  /// Page sizes are rounded up to this (a cache line), so that no two pages share a line.
  static constexpr std::size_t kPageAlignment = 64;

  static StatusOr<std::unique_ptr<RegisteredBuffer>> create(std::size_t page_bytes,
                                                            std::uint32_t page_count);
  ~RegisteredBuffer();
  RegisteredBuffer(const RegisteredBuffer&) = delete;
  RegisteredBuffer& operator=(const RegisteredBuffer&) = delete;

  std::byte* data() const { return data_; }
  std::size_t size_bytes() const { return mapped_bytes_; }
  std::size_t page_bytes() const { return page_bytes_; }
  std::uint32_t page_count() const { return page_count_; }
  MemoryKind kind() const { return MemoryKind::kHost; }
  int memfd() const { return memfd_.get(); }

  /// The whole page. `page` must be below page_count().
  std::span<std::byte> page(std::uint32_t page) const {
    return {data_ + static_cast<std::size_t>(page) * page_bytes_, page_bytes_};
  }
  /// True if `range` lies wholly inside the buffer.
  bool contains(std::span<const std::byte> range) const;

 private:
  RegisteredBuffer(UniqueFd memfd, std::byte* data, std::size_t mapped_bytes,
                   std::size_t page_bytes, std::uint32_t page_count);

  UniqueFd memfd_;
  std::byte* data_;
  std::size_t mapped_bytes_;
  std::size_t page_bytes_;
  std::uint32_t page_count_;
};

}  // namespace baton
