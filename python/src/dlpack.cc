#include "python/src/dlpack.h"

#include <memory>
#include <vector>

namespace py = pybind11;

namespace baton::python {
namespace {

constexpr const char* kName = "dltensor";  // a consumer renames it to "used_dltensor"

enum : std::uint8_t { kDlInt = 0, kDlUint = 1, kDlFloat = 2, kDlBfloat = 4, kDlBool = 6 };

DlDataType dl_type(DType dtype) {
  const auto bits = static_cast<std::uint8_t>(element_bytes(dtype) * 8);
  switch (dtype) {
    case DType::kHalf:
    case DType::kFloat:
    case DType::kDouble:
      return {kDlFloat, bits, 1};
    case DType::kBfloat16:
      return {kDlBfloat, bits, 1};
    case DType::kInt8:
    case DType::kInt16:
    case DType::kInt32:
    case DType::kInt64:
      return {kDlInt, bits, 1};
    case DType::kBool:
      return {kDlBool, bits, 1};
    case DType::kUint8:
    case DType::kFp8E4m3fn:  // DLPack 0.8 knows no 8-bit floats: their bits.
    case DType::kFp8E4m3fnuz:
    case DType::kFp8E5m2:
    case DType::kFp8E5m2fnuz:
      break;
  }
  return {kDlUint, bits, 1};
}

struct Managed {
  DlManagedTensor base;
  std::vector<std::int64_t> shape;
  ForkGuard<MemoryObj> held;
};

void end(DlManagedTensor* tensor) {
  delete static_cast<Managed*>(tensor->manager_ctx);
}

void end_unused(PyObject* capsule) {
  // Renamed capsules belong to their consumer, who calls the deleter.
  if (PyCapsule_IsValid(capsule, kName) != 0) {
    auto* tensor = static_cast<DlManagedTensor*>(PyCapsule_GetPointer(capsule, kName));
    tensor->deleter(tensor);
  }
}

}  // namespace

py::capsule to_dlpack(const PyMemoryObj& object) {
  const MemoryObj& chunk = object.get();
  auto managed = std::make_unique<Managed>(
      Managed{.base = {}, .shape = chunk.meta().shape, .held = ForkGuard<MemoryObj>(chunk)});
  managed->base.tensor = {.data = chunk.bytes().data(),
                          .device = {kDlCpu, 0},
                          .ndim = static_cast<std::int32_t>(managed->shape.size()),
                          .dtype = dl_type(chunk.meta().dtype),
                          .shape = managed->shape.data(),
                          .strides = nullptr,
                          .byte_offset = 0};
  managed->base.manager_ctx = managed.get();
  managed->base.deleter = &end;
  PyObject* capsule = PyCapsule_New(&managed->base, kName, &end_unused);
  if (capsule == nullptr) {
    throw py::error_already_set();
  }
  static_cast<void>(managed.release());  // the capsule's now
  return py::reinterpret_steal<py::capsule>(capsule);
}

}  // namespace baton::python
