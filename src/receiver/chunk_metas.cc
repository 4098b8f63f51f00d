#include "src/receiver/chunk_metas.h"

namespace baton::receiver {

std::uint32_t ChunkMetas::acquire(const TensorMeta& meta) {
  if (last_ < entries_.size() && entries_[last_].chunks > 0 && entries_[last_].meta == meta) {
    ++entries_[last_].chunks;
    return last_;
  }
  const auto [known, added] = numbers_.try_emplace(meta, 0);
  if (added) {
    if (unused_.empty()) {
      unused_.push_back(static_cast<std::uint32_t>(entries_.size()));
      entries_.emplace_back();
    }
    known->second = unused_.back();
    unused_.pop_back();
    entries_[known->second] = {meta, 0};
  }
  last_ = known->second;
  ++entries_[last_].chunks;
  return last_;
}

void ChunkMetas::release(std::uint32_t number) {
  Entry& entry = entries_[number];
  if (--entry.chunks == 0) {
    numbers_.erase(entry.meta);
    entry = {};
    unused_.push_back(number);
  }
}

}  // namespace baton::receiver
