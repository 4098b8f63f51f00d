// The decoder's hold on all chunks of a request.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "baton/memory_obj.h"

namespace baton {

/// All chunks of a request, in the order of the claimed keys, readable until the claim and every
/// copy of its MemoryObjs are gone. Then the chunks stay as cache until their pages are needed.
///
/// Threads: a value; may be destroyed on any thread, also after the backend.
class Claim {
 public:
  Claim() = default;
  explicit Claim(std::vector<MemoryObj> chunks) : chunks_(std::move(chunks)) {}
  Claim(Claim&&) = default;
  Claim& operator=(Claim&&) = default;

  std::span<const MemoryObj> chunks() const { return chunks_; }
  /// Ends the claim before its destruction.
  void release() { chunks_.clear(); }

 private:
  std::vector<MemoryObj> chunks_;
};

}  // namespace baton
