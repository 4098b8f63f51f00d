// llama.cpp's state blob of one sequence, and the KV_2LTD chunk made of it.
//
// The blob (flash attention on, one unified cache), little-endian:
//
//     u32 magic | i32 seq_id | u32 streams (1) | u32 cells
//     cells × { i32 position | u32 seq_ids (1) | i32 seq_id }
//     u32 transposed_v (0) | u32 layers
//     layers × { i32 ggml_type | u64 row_bytes | cells × row_bytes }     K
//     layers × { i32 ggml_type | u64 row_bytes | cells × row_bytes }     V
//
// Without the small headers K and V are [2, layers, tokens, row]: a chunk is the blob's rows,
// copied range by range. Pure functions: no llama.cpp here, and every byte is taken for hostile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "baton/status.h"
#include "baton/tensor_meta.h"

namespace baton::engine {

/// What one token leaves in the cache: `layers` rows of K and as many of V, f16, of one size.
struct KvShape {
  std::uint32_t layers = 0;
  std::uint32_t row_bytes = 0;

  bool operator==(const KvShape&) const = default;
};

/// Bounds of what is believed. With all three at their limit a chunk has 2^55 bytes: no sum or
/// product here can wrap.
inline constexpr std::uint32_t kMaxKvLayers = 1U << 10U;
inline constexpr std::uint32_t kMaxKvRowBytes = 1U << 20U;
inline constexpr std::uint32_t kMaxKvTokens = 1U << 24U;

/// kInvalidArgument unless layers, row_bytes (even) and tokens are within their limits, from 1 up.
Status validate_kv(const KvShape& shape, std::uint32_t tokens);

/// Bytes of `tokens` tokens as a chunk, and as a blob. The arguments must be valid.
std::size_t kv_chunk_bytes(const KvShape& shape, std::uint32_t tokens);
std::size_t kv_blob_bytes(const KvShape& shape, std::uint32_t tokens);

/// The chunk's meta data: KV_2LTD, half, [2, layers, tokens, row_bytes / 2].
TensorMeta kv_chunk_meta(const KvShape& shape, std::uint32_t tokens);

/// Rows that have been checked, in a blob or where llama.cpp has them; the spans point there.
struct KvView {
  KvShape shape;
  std::int32_t first_position = 0;  ///< of `tokens` that follow each other without a gap
  std::uint32_t tokens = 0;
  std::vector<std::span<const std::byte>> keys;    ///< a layer each: tokens × row_bytes
  std::vector<std::span<const std::byte>> values;  ///< a layer each: tokens × row_bytes
};

/// kDataLoss, saying what was found and what was expected, for anything but exactly the layout
/// above: no byte more or less, f16 rows of one size, positions in order.
StatusOr<KvView> parse_kv_blob(std::span<const std::byte> blob);

/// Who reads the chunk next: this process, and finds it in its cache; or another one, later.
enum class KvReader : std::uint8_t { kSelf, kOther };

/// Copies the rows into `chunk`, which must have kv_chunk_bytes() bytes. For another reader they
/// are stored past the cache, and published.
Status kv_to_chunk(const KvView& rows, std::span<std::byte> chunk,
                   KvReader reader = KvReader::kSelf);

/// Makes the blob of a chunk whose first token stands at `first_position`. Reuses `blob`'s memory.
Status kv_chunk_to_blob(const KvShape& shape, std::int32_t first_position, std::uint32_t tokens,
                        std::span<const std::byte> chunk, std::vector<std::byte>& blob);

}  // namespace baton::engine
