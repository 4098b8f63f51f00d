// DLPack's in-memory structures, version 0.8 (the unversioned capsule "dltensor"), and a capsule of
// a chunk. Source: DLPack's C header, https://dmlc.github.io/dlpack/latest/c_api.html.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

#include "python/src/memory.h"

namespace baton::python {

struct DlDevice {
  std::int32_t device_type;
  std::int32_t device_id;
};

struct DlDataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};

struct DlTensor {
  void* data;
  DlDevice device;
  std::int32_t ndim;
  DlDataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;  // null: compact, row-major
  std::uint64_t byte_offset;
};

struct DlManagedTensor {
  DlTensor tensor;
  void* manager_ctx;
  void (*deleter)(DlManagedTensor* self);
};

inline constexpr std::int32_t kDlCpu = 1;

/// A capsule "dltensor" that holds a reference on the page until its consumer (or, if there is
/// none, the capsule's end) calls the deleter, on whichever thread and with or without the GIL.
pybind11::capsule to_dlpack(const PyMemoryObj& object);

}  // namespace baton::python
