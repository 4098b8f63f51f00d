// Chunks that lie in pages granted ahead: RequestTable's half that takes them for a put.
// docs/protocol.md, "Pages ahead".
#include <absl/container/flat_hash_set.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/digest.h"
#include "src/receiver/request_table.h"

namespace baton::receiver {
namespace {

/// Of all pages, at most one in so many is granted ahead.
constexpr std::uint32_t kAheadShare = 4;

}  // namespace

void RequestTable::find_ahead(const wire::AllocRequest& message) {
  if (!message.ahead.has_value()) {
    return;  // look_up() has cleared the entries.
  }
  const wire::AllocRequest::Ahead& named = *message.ahead;
  const Epoch& sender = message.baton->parties.sender_epoch;
  absl::flat_hash_set<Chunk*> taken;
  for (std::size_t i = 0; i < keys_.entries.size(); ++i) {
    KeyBatch::Entry& entry = keys_.entries[i];
    if (named.pages[i] < 0 || entry.chunk != nullptr) {
      continue;
    }
    Chunk* ahead =
        pool_.find_ahead(sender, static_cast<std::uint32_t>(named.pages[i]), named.generations[i]);
    if (ahead != nullptr && taken.insert(ahead).second) {
      entry.ahead = ahead;
    }
  }
}

std::uint32_t RequestTable::count_ahead() const {
  return static_cast<std::uint32_t>(
      std::count_if(keys_.entries.begin(), keys_.entries.end(),
                    [](const KeyBatch::Entry& entry) { return entry.ahead != nullptr; }));
}

void RequestTable::adopt_page(Request& request, Put& put, std::uint32_t index, std::string_view key,
                              const TensorMeta& meta, std::size_t bytes) {
  Chunk& chunk = pool_.adopt(*keys_.entries[index].ahead, key, keys_, index, meta, bytes,
                             {request.id.sender, put.id});
  if (request.brought > 0) {
    --request.brought;
  } else {
    pool_.unreserve(1);
    --request.reserved;
  }
  request.held.insert(&chunk);
  put.keys[index] = {&chunk, wire::KeyState::kGranted, false};
  ++put.unresolved;
}

/// The bytes are there already. Large puts are verified in pieces, and so committed as others are.
Status RequestTable::commit_ahead(Put& put, const wire::AllocRequest& message) {
  const std::vector<std::uint64_t>& digests = message.ahead->digests;
  const bool verifies = config_.integrity != Integrity::kOff;
  if (verifies && digests.empty()) {
    return absl::OkStatus();
  }
  std::vector<std::pair<Chunk*, std::uint64_t>> there;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < put.keys.size(); ++i) {
    if (keys_.entries[i].ahead != nullptr && put.keys[i].chunk == keys_.entries[i].ahead) {
      there.emplace_back(put.keys[i].chunk, digests.empty() ? 0 : digests[i]);
      bytes += put.keys[i].chunk->bytes;
    }
  }
  if (verifies && bytes > wire::kMaxBytesAtOnce) {
    return absl::OkStatus();
  }
  std::vector<Chunk*> placed;
  placed.reserve(there.size());
  for (const auto& [chunk, expected] : there) {
    const std::span<std::byte> page = pool_.bytes_of(*chunk);
    if (faults_.before_verify) {
      faults_.before_verify(page);
    }
    if (verifies) {
      if (const std::uint64_t digest = digest_of(page); digest != expected) {
        return absl::DataLossError(fmt::format(
            "the bytes of page {} differ from what was put there: digest {:016x}, expected {:016x}",
            chunk->page, digest, expected));
      }
      chunk->digest = expected;
    }
    placed.push_back(chunk);
  }
  commit_placed(put, placed);
  return absl::OkStatus();
}

std::vector<const Chunk*> RequestTable::grant_ahead(const Epoch& sender, std::uint32_t most) {
  std::vector<const Chunk*> granted;
  const ChunkPool::Counts counts = pool_.counts();
  const std::uint32_t share = counts.total / kAheadShare;
  // Half of what is left, so that the next request finds room.
  const std::uint32_t room = std::min(share > counts.ahead ? share - counts.ahead : 0U,
                                      somebody_waits() ? 0U : pool_.available() / 2);
  while (granted.size() < std::min(most, room)) {
    granted.push_back(&pool_.grant_ahead(sender));
  }
  return granted;
}

}  // namespace baton::receiver
