// The name of a chunk, as LMCache spells it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "baton/tensor_meta.h"

namespace baton {

/// Names the KV of up to `chunk_size` tokens for one worker (TP rank).
///
/// String form, both ways and to the byte (source: LMCache's `CacheEngineKey.to_string`):
///
///     model_name@world_size@worker_id@chunk_hash_hex@dtype[@layer_id][@tag%value…]
///
/// `chunk_hash` is Python's f"{int:x}": lower-case hex without leading zeros, perhaps with a
/// leading '-'.
struct CacheEngineKey {
  std::string model_name;
  std::uint32_t world_size = 1;
  std::uint32_t worker_id = 0;
  std::string chunk_hash;
  DType dtype = DType::kHalf;
  std::optional<std::uint32_t> layer_id;
  /// "tag%value", in the order of the string.
  std::vector<std::string> tags;

  /// Longest string that parse() accepts, in bytes.
  static constexpr std::size_t kMaxBytes = 1024;

  /// kInvalidArgument, naming the part that is wrong. Allocates nothing before the checks passed.
  static StatusOr<CacheEngineKey> parse(std::string_view text);

  /// The checks of parse() without building the key: for hot paths that only index by string.
  static Status validate(std::string_view text);

  std::string to_string() const;

  bool operator==(const CacheEngineKey&) const = default;
};

}  // namespace baton
