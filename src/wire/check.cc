#include "src/wire/check.h"

#include <fmt/format.h>

#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "baton/tensor_meta.h"

namespace baton::wire {
namespace {

Status invalid(std::string message) {
  return absl::InvalidArgumentError(std::move(message));
}

/// The first that is not OK.
template <typename... Checks>
Status all_of(Checks... checks) {
  Status status;
  static_cast<void>(((status = checks()).ok() && ...));
  return status;
}

Status check_code(std::uint32_t code) {
  constexpr auto kLast = static_cast<std::uint32_t>(absl::StatusCode::kUnauthenticated);
  return code <= kLast
             ? absl::OkStatus()
             : invalid(fmt::format("field 'code' is {}; status codes go up to {}", code, kLast));
}

/// Of a message that tells why something ended.
Status check_failure(std::uint32_t code) {
  return code == 0 ? invalid("field 'code' is 0, which is no failure") : check_code(code);
}

Status check_length(const char* name, std::size_t length, const char* other, std::size_t expected) {
  return length == expected ? absl::OkStatus()
                            : invalid(fmt::format("field '{}' has {} elements, but '{}' has {}",
                                                  name, length, other, expected));
}

Status check_min(const char* name, std::uint64_t value, std::uint64_t min) {
  return value >= min
             ? absl::OkStatus()
             : invalid(fmt::format("field '{}' is {}; at least {} is needed", name, value, min));
}

/// Page numbers, -1 allowed or not, and indexes.
Status check_indexes(const char* name, const std::vector<std::int64_t>& indexes, std::int64_t min) {
  constexpr std::int64_t kMax = std::numeric_limits<std::uint32_t>::max();
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    if (indexes[i] < min || indexes[i] > kMax) {
      return invalid(fmt::format("field '{}' [{}] is {}; {} to {} is allowed", name, i, indexes[i],
                                 min, kMax));
    }
  }
  return absl::OkStatus();
}

Status check_shape(const TensorMeta& meta) {
  if (const auto bytes = meta.bytes(); !bytes.ok()) {
    return invalid("field 'shape': " + std::string(bytes.status().message()));
  }
  if (const auto tokens = meta.tokens(); !tokens.ok()) {
    return invalid("field 'shape': " + std::string(tokens.status().message()));
  }
  return absl::OkStatus();
}

/// Offsets into the peer's buffer must be numbers that can be calculated with.
Status check_buffer(std::uint64_t page_bytes, std::uint64_t page_count) {
  constexpr std::uint64_t kMaxBufferBytes = std::uint64_t{1} << 62U;
  return page_bytes <= kMaxBufferBytes / page_count
             ? absl::OkStatus()
             : invalid(fmt::format("field 'page_bytes' is {}: {} such pages are beyond 2^62 bytes",
                                   page_bytes, page_count));
}

/// A page goes with a generation, and both with the states "granted" and "placed".
Status check_grant(std::size_t i, KeyState state, bool has_page, std::uint64_t generation) {
  const bool granted = state == KeyState::kGranted || state == KeyState::kPlaced;
  if (granted == has_page && granted == (generation != 0)) {
    return absl::OkStatus();
  }
  return invalid(
      fmt::format("field 'states' [{}] is {}, which does not fit its {} and generation "
                  "{}",
                  i, static_cast<unsigned>(state), has_page ? "page" : "missing page", generation));
}

Status check_states(const AllocResponse& message, const AllocResponse::Baton& baton) {
  for (std::size_t i = 0; i < baton.states.size(); ++i) {
    const bool has_page = message.remote_indexes[i] >= 0;
    if (Status status = check_grant(i, baton.states[i], has_page, baton.generations[i]);
        !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

Status check_refused_is_empty(const AllocResponse::Baton& baton) {
  return baton.code == 0 || baton.states.empty()
             ? absl::OkStatus()
             : invalid(fmt::format("field 'states' has {} elements although 'code' is {}",
                                   baton.states.size(), baton.code));
}

Status check_baton(const AllocResponse& message, const AllocResponse::Baton& baton) {
  const std::size_t count = message.remote_indexes.size();
  return all_of(
      [&] { return check_code(baton.code); },
      [&] { return check_length("states", baton.states.size(), "remote_indexes", count); },
      [&] {
        return check_length("generations", baton.generations.size(), "remote_indexes", count);
      },
      [&] { return check_refused_is_empty(baton); }, [&] { return check_states(message, baton); });
}

/// The chunks' own bytes, and no other: what comes with a request can't reach beyond its pages.
Status check_eager(const AllocRequest& message, const TensorMeta& full, const TensorMeta& last) {
  const AllocRequest::Eager& eager = *message.eager;
  if (!message.baton.has_value()) {
    return invalid("field 'eager_bytes' needs Baton's other fields");
  }
  if (message.keys.empty() || eager.bytes.empty()) {
    return invalid("field 'eager_bytes' is empty, or no key is named");
  }
  if (!eager.digests.empty() && eager.digests.size() != message.keys.size()) {
    return check_length("eager_digests", eager.digests.size(), "keys", message.keys.size());
  }
  const std::size_t full_bytes = *full.bytes();
  const std::size_t last_bytes = *last.bytes();
  const std::size_t full_count = message.keys.size() - 1;
  // Divided, for a product could wrap.
  const bool fits = eager.bytes.size() >= last_bytes &&
                    (eager.bytes.size() - last_bytes) % full_bytes == 0 &&
                    (eager.bytes.size() - last_bytes) / full_bytes == full_count;
  return fits ? absl::OkStatus()
              : invalid(fmt::format("field 'eager_bytes' has {} bytes; the chunks of {} keys have "
                                    "{} each, the last {}",
                                    eager.bytes.size(), message.keys.size(), full_bytes,
                                    last_bytes));
}

/// A page goes with a generation, and a digest with a page.
Status check_ahead(const AllocRequest& message) {
  const AllocRequest::Ahead& ahead = *message.ahead;
  const std::size_t count = message.keys.size();
  if (!message.baton.has_value() || message.eager.has_value()) {
    return invalid("field 'ahead_pages' needs Baton's other fields, and no 'eager_bytes'");
  }
  Status status = all_of(
      [&] { return check_length("ahead_pages", ahead.pages.size(), "keys", count); },
      [&] { return check_length("ahead_generations", ahead.generations.size(), "keys", count); },
      [&] {
        return ahead.digests.empty()
                   ? absl::OkStatus()
                   : check_length("ahead_digests", ahead.digests.size(), "keys", count);
      },
      [&] { return check_indexes("ahead_pages", ahead.pages, -1); });
  for (std::size_t i = 0; status.ok() && i < count; ++i) {
    const bool has_page = ahead.pages[i] >= 0;
    const bool has_digest = !ahead.digests.empty() && ahead.digests[i] != 0;
    if (has_page != (ahead.generations[i] != 0) || (has_digest && !has_page)) {
      status =
          invalid(fmt::format("field 'ahead_pages' [{}] is {}, which does not fit its "
                              "generation {} and digest",
                              i, ahead.pages[i], ahead.generations[i]));
    }
  }
  return status;
}

}  // namespace

Status check(const AllocRequest& message) {
  const TensorMeta meta{message.shape, message.dtype, message.fmt};
  if (Status status = check_shape(meta); !status.ok()) {
    return status;
  }
  const auto last = meta.with_tokens(message.last_chunk_toks);
  if (!last.ok()) {
    return invalid("field 'last_chunk_toks': " + std::string(last.status().message()));
  }
  if (message.ahead.has_value()) {
    return check_ahead(message);
  }
  return message.eager.has_value() ? check_eager(message, meta, *last) : absl::OkStatus();
}

Status check(const AllocResponse& message) {
  return all_of(
      [&] { return check_indexes("remote_indexes", message.remote_indexes, -1); },
      [&] { return check_indexes("already_sent_indexes", message.already_sent_indexes, 0); },
      [&] {
        return message.baton.has_value() ? check_baton(message, *message.baton) : absl::OkStatus();
      });
}

Status check(const CacheQueryResponse& message) {
  return all_of([&] { return check_indexes("cached_indexes", message.cached_indexes, 0); },
                [&] {
                  return check_length("cached_indexes", message.cached_indexes.size(),
                                      "cached_keys", message.cached_keys.size());
                });
}

Status check(const Hello& message) {
  const LayoutInfo& layout = message.layout;
  return all_of([&] { return check_min("version_max", message.version_max, message.version_min); },
                [&] { return check_min("world_size", layout.world_size, 1); },
                [&] { return check_min("chunk_size", layout.chunk_size, 1); },
                [&] {
                  return check_shape({layout.shape, layout.dtype, layout.fmt});
                });
}

Status check(const Welcome& message) {
  return all_of([&] { return check_min("page_bytes", message.page_bytes, 1); },
                [&] { return check_min("page_count", message.page_count, 1); },
                [&] { return check_min("max_keys", message.max_keys, 1); },
                [&] { return check_min("max_message_bytes", message.max_message_bytes, 1); },
                [&] { return check_buffer(message.page_bytes, message.page_count); });
}

Status check(const Refusal& message) {
  return check_failure(message.code);
}

Status check(const OpenRequest& message) {
  return all_of([&] { return check_min("timeout_ms", message.timeout_ms, 1); },
                [&] {
                  return message.keys.empty() ? check_min("total_chunks", message.total_chunks, 1)
                                              : absl::OkStatus();
                });
}

Status check(const OpenResponse& message) {
  return check_code(message.code);
}

Status check(const CommitRequest& message) {
  const std::size_t count = message.pages.size();
  return all_of(
      [&] { return check_length("generations", message.generations.size(), "pages", count); },
      [&] {
        return message.digests.empty()
                   ? absl::OkStatus()
                   : check_length("digests", message.digests.size(), "pages", count);
      });
}

Status check(const CommitResponse& message) {
  return check_code(message.code);
}

Status check(const ChunkUpdate& message) {
  const std::size_t count = message.key_indexes.size();
  Status status =
      all_of([&] { return check_length("states", message.states.size(), "key_indexes", count); },
             [&] { return check_length("pages", message.pages.size(), "key_indexes", count); },
             [&] {
               return check_length("generations", message.generations.size(), "key_indexes", count);
             });
  for (std::size_t i = 0; status.ok() && i < count; ++i) {
    const KeyState state = message.states[i];
    if (state == KeyState::kInFlight || state == KeyState::kPlaced) {
      return invalid(fmt::format("field 'states' [{}] is {}, which is no news", i,
                                 static_cast<unsigned>(state)));
    }
    // Page 0 is a page like any other, so only a page that isn't granted tells something.
    const bool has_page = message.pages[i] != 0 || state == KeyState::kGranted;
    status = check_grant(i, state, has_page, message.generations[i]);
  }
  return status;
}

Status check(const DrainNotif& message) {
  return check_length("generations", message.generations.size(), "pages", message.pages.size());
}

Status check(const DrainAck& message) {
  return check_code(message.code);
}

Status check(const HeartbeatAck& message) {
  return check_code(message.code);
}

Status check(const EndNotif& message) {
  return check_failure(message.code);
}

Status check(const DrainRequest& message) {
  return check_length("generations", message.generations.size(), "pages", message.pages.size());
}

Status check(const FailNotif& message) {
  return check_failure(message.code);
}

Status check(const GroupJoin& message) {
  return all_of([&] { return check_min("worker_id", message.worker_id, 1); },
                [&] {
                  return check_min("world_size", message.world_size,
                                   std::uint64_t{message.worker_id} + 1);
                });
}

Status check(const GroupJoinAck& message) {
  return check_code(message.code);
}

Status check(const GroupNotif& message) {
  return message.word == GroupWord::kEnded ? check_failure(message.code) : check_code(message.code);
}

Status check(const ReadRequest& message) {
  return all_of([&] { return check_min("keys", message.keys.size(), 1); },
                [&] { return check_min("timeout_ms", message.timeout_ms, 1); });
}

Status check(const ReadResponse& message) {
  const std::size_t count = message.states.size();
  Status status = all_of(
      [&] { return check_code(message.code); },
      [&] {
        return message.code == 0 || count == 0
                   ? absl::OkStatus()
                   : invalid(fmt::format("field 'states' has {} elements although 'code' is {}",
                                         count, message.code));
      },
      [&] { return check_length("pages", message.pages.size(), "states", count); },
      [&] { return check_length("generations", message.generations.size(), "states", count); },
      [&] { return check_length("lengths", message.lengths.size(), "states", count); },
      [&] {
        return message.digests.empty()
                   ? absl::OkStatus()
                   : check_length("digests", message.digests.size(), "states", count);
      });
  for (std::size_t i = 0; status.ok() && i < count; ++i) {
    // Page 0 is a page like any other, and 0 a digest.
    const bool hit = message.states[i] == ReadState::kHit;
    const bool is_told = message.generations[i] != 0 && message.lengths[i] != 0;
    const bool is_bare = message.generations[i] == 0 && message.lengths[i] == 0 &&
                         message.pages[i] == 0 &&
                         (message.digests.empty() || message.digests[i] == 0);
    if (hit ? !is_told : !is_bare) {
      status = invalid(fmt::format(
          "field 'states' [{}] is {}, which does not fit page {}, generation {} and length {}", i,
          static_cast<unsigned>(message.states[i]), message.pages[i], message.generations[i],
          message.lengths[i]));
    }
  }
  return status;
}

Status check(const ReadReleaseAck& message) {
  return check_code(message.code);
}

Status check(const AheadRequest& message) {
  return all_of([&] { return check_min("sequence", message.sequence, 1); },
                [&] { return check_min("count", message.count, 1); });
}

Status check(const AheadGrant& message) {
  const std::size_t count = message.pages.size();
  Status status = all_of(
      [&] { return check_code(message.code); },
      [&] {
        return message.code == 0 || count == 0
                   ? absl::OkStatus()
                   : invalid(fmt::format("field 'pages' has {} elements although 'code' is {}",
                                         count, message.code));
      },
      [&] { return check_length("generations", message.generations.size(), "pages", count); });
  for (std::size_t i = 0; status.ok() && i < count; ++i) {
    status = check_min("generations", message.generations[i], 1);
  }
  return status;
}

}  // namespace baton::wire
