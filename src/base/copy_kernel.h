// Copies between this process's memory and that of a peer, in either direction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace baton {

/// How bytes are stored.
enum class StoreKind : std::uint8_t {
  kCached,        ///< memcpy
  kStreamSse2,    ///< past the cache, 16 bytes a store
  kStreamAvx2,    ///< 32
  kStreamAvx512,  ///< 64
};

/// About where stores past the cache begin to win on cold buffers: at 4 KiB the wide ones were
/// ahead of memcpy and the narrowest level with it, from 16 KiB on all were ahead. An ordinary
/// store first reads the line that it is going to overwrite. Below it, aligning costs more than is
/// gained, and the reader may still find the bytes in the cache.
inline constexpr std::size_t kStreamThresholdBytes = 4096;

/// The kinds that this processor has, slowest first. Never empty.
std::span<const StoreKind> supported_store_kinds();

/// Copies `bytes` bytes; the ranges don't overlap. Others see them for certain only after
/// publish_stores() on the same thread.
void copy_with(StoreKind kind, std::byte* to, const std::byte* from, std::size_t bytes);

/// copy_with() the best kind for this size and processor.
void copy_bulk(std::byte* to, const std::byte* from, std::size_t bytes);

/// Orders all stores of this thread, streamed ones too, before everything that follows.
void publish_stores();

}  // namespace baton
