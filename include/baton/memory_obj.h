// A reference on one page of a registered buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "baton/tensor_meta.h"

namespace baton {

/// Where a buffer's bytes live. CUDA memory is not there yet; the value keeps its place.
enum class MemoryKind : std::uint8_t { kHost, kCuda };

/// What a MemoryObj refers to. Made by Baton's pools; the owner's deleter gives the page back.
struct MemoryBlock {
  std::byte* data = nullptr;
  std::size_t capacity_bytes = 0;  ///< the page's size; meta.bytes() never exceeds it
  TensorMeta meta;
  std::uint32_t page = 0;
  MemoryKind kind = MemoryKind::kHost;
  const void* pool = nullptr;  ///< identity of the buffer that the page belongs to
  bool in_place = false;       ///< the page is a receiver's: RequestSpec::in_place
};

/// Ref-counted handle on a page and its metadata. Copying it takes a reference; the page goes
/// back when the last one is gone, from whichever thread that happens on.
///
/// Threads: the handle is a value like std::shared_ptr. The bytes are not synchronised: whoever
/// puts a MemoryObj must not write to it until the put's callback has run.
class MemoryObj {
 public:
  MemoryObj() = default;
  explicit MemoryObj(std::shared_ptr<const MemoryBlock> block) : block_(std::move(block)) {}

  explicit operator bool() const { return block_ != nullptr; }

  /// The chunk's bytes, packed in meta()'s shape. Size: meta().bytes(), not the page's size.
  std::span<std::byte> bytes() const { return {block_->data, size_bytes()}; }
  const TensorMeta& meta() const { return block_->meta; }
  std::uint32_t page() const { return block_->page; }
  MemoryKind kind() const { return block_->kind; }
  const void* pool() const { return block_->pool; }
  /// It lies in a page of the receiver's that it will be put to: what is written here is there.
  /// Once it was put, whatever became of that, nobody may write to it: another process may be
  /// reading.
  bool in_place() const { return block_->in_place; }

 private:
  std::size_t size_bytes() const { return block_->meta.bytes().value_or(0); }

  std::shared_ptr<const MemoryBlock> block_;
};

}  // namespace baton
