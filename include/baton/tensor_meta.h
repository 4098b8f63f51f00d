// Element types, memory formats and shapes of a KV chunk, as LMCache names them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "baton/status.h"

namespace baton {

/// Element type of a KV cache. The strings are LMCache's (torch's short names).
enum class DType : std::uint8_t {
  kHalf,
  kBfloat16,
  kFloat,
  kDouble,
  kInt8,
  kUint8,
  kInt16,
  kInt32,
  kInt64,
  kBool,
  kFp8E4m3fn,
  kFp8E4m3fnuz,
  kFp8E5m2,
  kFp8E5m2fnuz,
};

/// "half", "bfloat16", … ; never empty.
std::string_view to_string(DType dtype);
StatusOr<DType> parse_dtype(std::string_view name);

/// Bytes of one element: 1, 2, 4 or 8.
std::size_t element_bytes(DType dtype);

/// LMCache's MemoryFormat. The numbers are its wire values; versions of LMCache disagree
/// about 7 and up, so those are refused.
enum class MemoryFormat : std::uint8_t {
  kUndefined = 0,
  kKv2ltd = 1,        ///< [2, L, T, D]: K and V, layers, tokens, hidden size per worker
  kKvT2d = 2,         ///< [T, 2, D]
  kKv2td = 3,         ///< [2, T, D]
  kBinary = 4,        ///< [bytes]
  kBinaryBuffer = 5,  ///< [bytes]
  kKvMla = 6,         ///< [1, L, T, D]
};

/// "KV_2LTD", …
std::string_view to_string(MemoryFormat format);
/// kInvalidArgument for any number but 0 to 6.
StatusOr<MemoryFormat> parse_memory_format(std::int64_t wire_value);

/// Which dimension of the shape counts tokens, exactly as LMCache's `token_dim()` answers.
/// For KV_T2D and KV_2TD LMCache's answer contradicts their shapes; it is mirrored, not mended,
/// and `TensorMeta::validate_for_put` refuses both formats.
std::size_t token_dim(MemoryFormat format);

/// Shape, element type and format of one chunk.
struct TensorMeta {
  /// At most kMaxRank dimensions, each at least 1.
  std::vector<std::int64_t> shape;
  DType dtype = DType::kHalf;
  MemoryFormat format = MemoryFormat::kUndefined;

  static constexpr std::size_t kMaxRank = 8;

  /// Product of the shape times the element size. kInvalidArgument for an empty or too deep
  /// shape, a dimension below 1, or a product beyond 2^62.
  StatusOr<std::size_t> bytes() const;

  /// Tokens in the chunk: shape[token_dim(format)], or an error if the shape is too short.
  StatusOr<std::int64_t> tokens() const;

  /// The same chunk cut down to `tokens` tokens (a partial last chunk is packed: [2, L, t, D]).
  StatusOr<TensorMeta> with_tokens(std::int64_t tokens) const;

  /// bytes() and tokens() work, and the format is one that may be put (KV_2LTD or KV_MLA_FMT,
  /// with the rank that the format says; the leading dimension 2 or 1).
  Status validate_for_put() const;

  bool operator==(const TensorMeta&) const = default;
};

}  // namespace baton
