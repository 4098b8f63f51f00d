// Whether pages, chunks and counters agree: ChunkPool's half for tests.
#include <fmt/format.h>

#include <vector>

#include "src/receiver/chunk_pool.h"

namespace baton::receiver {

std::string ChunkPool::audit() const {
  Counts seen;
  seen.total = static_cast<std::uint32_t>(chunks_.size());
  std::vector<std::uint64_t> in_family(names_.size(), 0);
  std::vector<std::uint64_t> of_meta(metas_.size(), 0);
  for (std::uint32_t page = 0; page < chunks_.size(); ++page) {
    const Chunk& chunk = chunks_[page];
    const bool free = chunk.place == Place::kFree;
    if (free == allocator_.is_taken(page)) {
      return fmt::format("page {}: state and allocator disagree", page);
    }
    const bool has_chunk = chunk.place == Place::kGranted || chunk.place == Place::kCommitted;
    const bool is_committed = chunk.state == Chunk::State::kCommitted;
    if (chunk.page != page || (has_chunk && is_committed != (chunk.place == Place::kCommitted))) {
      return fmt::format("page {}: state and chunk disagree", page);
    }
    if (has_chunk) {
      ++in_family[chunk.family];
      ++of_meta[chunk.meta];
    }
    const bool found =
        index_.find(chunk.tag, [&](std::uint32_t candidate) { return candidate == page; }) == page;
    if (found != (has_chunk && !chunk.condemned)) {
      return fmt::format("page {}: chunk and index disagree", page);
    }
    if (has_chunk && chunk.read_holds > chunk.holds) {
      return fmt::format("page {}: {} readers, but {} holds", page, chunk.read_holds, chunk.holds);
    }
    seen.free += free ? 1 : 0;
    seen.ahead += chunk.place == Place::kAhead ? 1 : 0;
    if ((chunk.place == Place::kAhead) != ahead_of(chunk.writer.sender).contains(page)) {
      return fmt::format("page {}: its place and the pages ahead disagree", page);
    }
    seen.granted += chunk.place == Place::kGranted ? 1 : 0;
    seen.quarantined += chunk.place == Place::kQuarantined ? 1 : 0;
    if (chunk.place == Place::kCommitted) {
      (chunk.holds > 0 ? seen.held : seen.retained) += 1;
    }
  }
  for (std::uint32_t i = 0; i < in_family.size(); ++i) {
    if (in_family[i] != names_.chunks_of(i)) {
      return fmt::format("family {}: {} chunks, counted as {}", i, in_family[i],
                         names_.chunks_of(i));
    }
  }
  for (std::uint32_t i = 0; i < of_meta.size(); ++i) {
    if (of_meta[i] != metas_.chunks_of(i)) {
      return fmt::format("meta {}: {} chunks, counted as {}", i, of_meta[i], metas_.chunks_of(i));
    }
  }
  const Counts counted = counts();
  if (seen.free != counted.free || seen.ahead != counted.ahead || seen.granted != counted.granted ||
      seen.quarantined != counted.quarantined || seen.held != counted.held ||
      seen.retained != counted.retained) {
    return "the counters differ from what the pages say";
  }
  if (reserved_ > counted.free + counted.retained) {
    return fmt::format("{} pages are reserved, only {} free and {} retained", reserved_,
                       counted.free, counted.retained);
  }
  return "";
}

}  // namespace baton::receiver
