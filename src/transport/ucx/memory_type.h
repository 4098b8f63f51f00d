// Our kinds of memory, in UCX's words.
#pragma once

#include <ucs/memory/memory_type.h>

#include "baton/memory_obj.h"

namespace baton::transport::ucx {

/// Said with every registration and put, so that UCX need not find out.
inline ucs_memory_type_t to_memory_type(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::kHost:
      return UCS_MEMORY_TYPE_HOST;
    case MemoryKind::kCuda:
      return UCS_MEMORY_TYPE_CUDA;
  }
  return UCS_MEMORY_TYPE_UNKNOWN;
}

}  // namespace baton::transport::ucx
