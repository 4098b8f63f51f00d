// Memory of another process of the benchmark, as a sender maps its receiver's buffer.
#pragma once

#include <cstddef>
#include <span>

#include "tools/bench/json.h"

namespace baton::bench {

/// Maps what the role "memory" offers, populated.
class SharedMemory {
 public:
  /// `offer`: pid, fd and bytes. Throws Failed.
  explicit SharedMemory(const Json& offer);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace baton::bench
