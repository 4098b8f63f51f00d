// MemoryObj as Python has it.
#pragma once

#include <utility>
#include <vector>

#include "baton/memory_obj.h"
#include "python/src/fork_guard.h"

namespace baton::python {

/// One reference on a page. Every view (memoryview, NumPy array, DLPack capsule) holds another, or
/// this one, so that the page outlives whatever Python drops first; the page's own references keep
/// the buffer mapped after the backend's end.
struct PyMemoryObj {
  PyMemoryObj(MemoryObj object, bool is_writable)
      : held(std::move(object)), writable(is_writable) {}

  const MemoryObj& get() const { return held.get(); }

  ForkGuard<MemoryObj> held;
  bool writable;  ///< false for a receiver's committed chunks, which others may hold too
};

inline std::vector<PyMemoryObj> wrap(std::vector<MemoryObj> objects, bool writable) {
  std::vector<PyMemoryObj> wrapped;
  wrapped.reserve(objects.size());
  for (MemoryObj& object : objects) {
    wrapped.emplace_back(std::move(object), writable);
  }
  return wrapped;
}

}  // namespace baton::python
