// Shapes and types of chunks, each remembered once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "baton/tensor_meta.h"

namespace baton::receiver {

/// There are few: that of a full chunk, and one for each length of a partial one.
class ChunkMetas {
 public:
  /// For a chunk that comes: the number of its meta.
  std::uint32_t acquire(const TensorMeta& meta);
  /// For a chunk that goes. Its meta is forgotten with the last one.
  void release(std::uint32_t number);

  /// Valid while a chunk of it is there, and until the next acquire().
  const TensorMeta& operator[](std::uint32_t number) const { return entries_[number].meta; }

  /// Numbers are below this.
  std::size_t size() const { return entries_.size(); }
  std::uint64_t chunks_of(std::uint32_t number) const { return entries_[number].chunks; }

 private:
  struct Less {
    bool operator()(const TensorMeta& a, const TensorMeta& b) const {
      return std::tie(a.shape, a.dtype, a.format) < std::tie(b.shape, b.dtype, b.format);
    }
  };
  struct Entry {
    TensorMeta meta;
    std::uint64_t chunks = 0;
  };

  std::map<TensorMeta, std::uint32_t, Less> numbers_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> unused_;  // of entries_
  std::uint32_t last_ = 0;             // what was asked for last: the next one mostly is the same
};

}  // namespace baton::receiver
