// Chunks that come with the request for their pages: RequestTable's half that puts them there.
// docs/protocol.md, "Eager puts".
#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "src/base/digest.h"
#include "src/receiver/request_table.h"

namespace baton::receiver {

/// Only what was granted just now is looked at: of another's chunk, or of one that this put is
/// writing by another way, nothing is touched.
Status RequestTable::place(Put& put, const wire::AllocRequest& message) {
  const wire::AllocRequest::Eager& eager = *message.eager;
  const bool verifies = config_.integrity != Integrity::kOff;
  if (verifies && eager.digests.size() != put.keys.size()) {
    return absl::InvalidArgumentError(fmt::format("put {} brings {} chunks with {} digests", put.id,
                                                  put.keys.size(), eager.digests.size()));
  }
  std::vector<Chunk*> placed;
  placed.reserve(put.keys.size());
  // The decoder has checked that these are the chunks' bytes and no other.
  const std::size_t chunk_bytes = *TensorMeta{message.shape, message.dtype, message.fmt}.bytes();
  for (std::size_t i = 0; i < put.keys.size(); ++i) {
    const Put::Key& key = put.keys[i];
    if (key.state != wire::KeyState::kGranted) {
      continue;
    }
    const std::span<std::byte> page = pool_.bytes_of(*key.chunk);
    std::memcpy(page.data(), eager.bytes.data() + i * chunk_bytes, page.size());
    if (faults_.before_verify) {
      faults_.before_verify(page);
    }
    if (verifies) {
      if (const std::uint64_t digest = digest_of(page); digest != eager.digests[i]) {
        return absl::DataLossError(fmt::format(
            "the bytes of page {} differ from what was sent: digest {:016x}, expected {:016x}",
            key.chunk->page, digest, eager.digests[i]));
      }
      key.chunk->digest = eager.digests[i];
    }
    placed.push_back(key.chunk);
  }
  commit_placed(put, placed);
  return absl::OkStatus();
}

void RequestTable::commit_placed(Put& put, std::span<Chunk* const> placed) {
  if (placed.empty()) {
    return;
  }
  commit({put.request->id.sender, put.id}, placed);
  for (Put::Key& key : put.keys) {
    if (key.state == wire::KeyState::kGranted && key.chunk->state == Chunk::State::kCommitted) {
      // Only now: until it is committed, its end is a grant's.
      key.state = wire::KeyState::kPlaced;
    }
  }
  for (const Chunk* chunk : placed) {
    if (faults_.after_commit) {
      faults_.after_commit(pool_.bytes_of(*chunk));
    }
  }
}

/// Of a put whose sender was told of no grant yet: nobody can write its pages, so they wait for
/// nobody. But for those that it had ahead.
void RequestTable::withdraw_grants(const Put& put, const Status& why) {
  const Writer writer{put.request->id.sender, put.id};
  std::vector<std::pair<std::uint32_t, std::uint64_t>> untold;
  for (const Put::Key& key : put.keys) {
    if (key.state == wire::KeyState::kGranted && !key.chunk->came_ahead) {
      untold.emplace_back(key.chunk->page, pool_.generation_of(key.chunk->page));
    }
  }
  end(RequestId(put.request->id), why);  // Destroys the put.
  for (const auto& [page, generation] : untold) {
    pool_.release_quarantined(writer, page, generation);
  }
}

}  // namespace baton::receiver
