// Bounds on everything that comes from outside.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton::wire {

/// What lies in pages ahead when it is put is verified at once, before the answer, up to so many
/// bytes a put, and brings its digests along; more is committed in slices. Receivers have other
/// work, too (docs/protocol.md, "Pages ahead").
inline constexpr std::size_t kMaxBytesAtOnce = std::size_t{1} << 20U;

/// The decoder refuses what exceeds these before it allocates anything from it.
struct Limits {
  /// A whole message. Derived: kMaxKeys keys of ordinary length (about 100 bytes) with room.
  std::size_t max_message_bytes = 8U << 20U;
  /// Elements of any list of keys, pages, digests, states.
  std::size_t max_keys = 65'536;
  /// A key string; CacheEngineKey::kMaxBytes.
  std::size_t max_key_bytes = 1024;
  /// req_id, names, reasons. LMCache's longest vector has 300.
  std::size_t max_string_bytes = 1024;
  /// An opaque blob: NIXL's agent data, a transport's offer or ticket, an embedded message.
  std::size_t max_blob_bytes = 1U << 20U;
  /// Dimensions of a shape; TensorMeta::kMaxRank.
  std::size_t max_rank = 8;
  /// Fields of a map, known and unknown.
  std::size_t max_fields = 64;
  /// Nesting of unknown fields that are skipped.
  std::size_t max_depth = 16;
  /// Requests that one heartbeat may name.
  std::size_t max_named_requests = 256;
  /// Transports that one hello may offer.
  std::size_t max_transports = 8;
};

}  // namespace baton::wire
