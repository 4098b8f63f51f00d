// MemoryObj: a page's bytes as Python's buffers, NumPy's arrays and DLPack's tensors.
#include "python/src/memory.h"

#include <fmt/format.h>
#include <pybind11/stl.h>

#include <cstring>
#include <exception>
#include <string>

#include "python/src/dlpack.h"
#include "python/src/gil.h"
#include "python/src/module.h"
#include "python/src/status.h"

namespace py = pybind11;

namespace baton::python {
namespace {

/// struct's letter. Python has none for bfloat16 and the 8-bit floats: unsigned integers then.
std::string format_of(DType dtype) {
  switch (dtype) {
    case DType::kHalf:
      return "e";
    case DType::kBfloat16:
      return "H";
    case DType::kFloat:
      return "f";
    case DType::kDouble:
      return "d";
    case DType::kInt8:
      return "b";
    case DType::kInt16:
      return "h";
    case DType::kInt32:
      return "i";
    case DType::kInt64:
      return "q";
    case DType::kBool:
      return "?";
    case DType::kUint8:
    case DType::kFp8E4m3fn:
    case DType::kFp8E4m3fnuz:
    case DType::kFp8E5m2:
    case DType::kFp8E5m2fnuz:
      break;
  }
  return "B";
}

py::buffer_info to_buffer(PyMemoryObj& self) {
  const MemoryObj& chunk = self.get();
  const auto item = static_cast<py::ssize_t>(element_bytes(chunk.meta().dtype));
  const std::vector<py::ssize_t> shape(chunk.meta().shape.begin(), chunk.meta().shape.end());
  std::vector<py::ssize_t> strides(shape.size());
  py::ssize_t stride = item;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return {chunk.bytes().data(),
          item,
          format_of(chunk.meta().dtype),
          static_cast<py::ssize_t>(shape.size()),
          shape,
          strides,
          !self.writable};
}

/// to_buffer's exceptions end here: between it and the next handler there are frames of C. pybind11
/// has learnt to catch them since 2.10.
int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  try {
    return py::detail::pybind11_getbuffer(self, view, flags);
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_BufferError, error.what());
  }
  if (view != nullptr) {
    view->obj = nullptr;
  }
  return -1;
}

/// A contiguous view of somebody's buffer, for one copy.
class Contiguous {
 public:
  Contiguous(const py::object& from, int flags) {
    if (PyObject_GetBuffer(from.ptr(), &view_, PyBUF_C_CONTIGUOUS | flags) != 0) {
      throw py::error_already_set();
    }
  }
  ~Contiguous() { PyBuffer_Release(&view_); }
  Contiguous(const Contiguous&) = delete;
  Contiguous& operator=(const Contiguous&) = delete;

  void* data() const { return view_.buf; }
  std::size_t size() const { return static_cast<std::size_t>(view_.len); }

 private:
  Py_buffer view_{};
};

void check_size(const Contiguous& other, const MemoryObj& chunk) {
  if (other.size() != chunk.bytes().size()) {
    raise(absl::InvalidArgumentError(
        fmt::format("the buffer has {} bytes, the chunk {}", other.size(), chunk.bytes().size())));
  }
}

void copy_from(const PyMemoryObj& self, const py::object& source) {
  const MemoryObj chunk = self.get();
  if (!self.writable) {
    raise(absl::FailedPreconditionError(
        std::string("a committed chunk is shared with others and can't be written")));
  }
  const Contiguous from(source, PyBUF_SIMPLE);
  check_size(from, chunk);
  unlocked([&] { std::memcpy(chunk.bytes().data(), from.data(), from.size()); });
}

void copy_to(const PyMemoryObj& self, const py::object& destination) {
  const MemoryObj chunk = self.get();
  const Contiguous to(destination, PyBUF_WRITABLE);
  check_size(to, chunk);
  unlocked([&] { std::memcpy(to.data(), chunk.bytes().data(), to.size()); });
}

}  // namespace

void add_memory(py::module_& module) {
  py::class_<PyMemoryObj>(
      module, "MemoryObj", py::buffer_protocol(), py::custom_type_setup([](PyHeapTypeObject* type) {
        type->as_buffer.bf_getbuffer = &get_buffer;
      }),
      "A page of registered memory that holds one chunk. Buffers, NumPy arrays and DLPack tensors "
      "made from it are views, never copies; each keeps the page, and the memory stays valid after "
      "the backend was closed. bfloat16 is seen as uint16 by the buffer protocol and NumPy (and as "
      "bfloat16 by DLPack), the 8-bit floats as uint8 by all three: Python has no letters for "
      "them.")
      .def_buffer(&to_buffer)
      .def_property_readonly(
          "meta", [](const PyMemoryObj& self) { return self.get().meta(); },
          "Shape, element type and format.")
      .def_property_readonly(
          "page", [](const PyMemoryObj& self) { return self.get().page(); },
          "The page's number in its buffer.")
      .def_property_readonly(
          "nbytes", [](const PyMemoryObj& self) { return self.get().bytes().size(); },
          "Size of the chunk in bytes.")
      .def_readonly("writable", &PyMemoryObj::writable,
                    "False for committed chunks: others may hold them too.")
      .def(
          "numpy",
          [](const py::object& self) {
            self.cast<const PyMemoryObj&>().get();  // NumPy drops what the buffer protocol raises.
            return py::module_::import("numpy").attr("asarray")(self);
          },
          "A NumPy view in meta's shape, e.g. [2, L, T, D]; read-only unless writable.")
      .def("copy_from", &copy_from, py::arg("source"),
           "Copies a contiguous buffer of nbytes bytes into the page, once, without the GIL.")
      .def("copy_to", &copy_to, py::arg("destination"),
           "Copies the chunk into a contiguous writable buffer of nbytes bytes, without the GIL.")
      .def(
          "__dlpack__",
          [](const PyMemoryObj& self, const py::object& stream) {
            if (!stream.is_none()) {
              raise(absl::InvalidArgumentError(
                  std::string("the chunk is in host memory: stream must be None")));
            }
            return to_dlpack(self);
          },
          py::arg("stream") = py::none(),
          "A DLPack capsule of the chunk, without a copy. DLPack can't say read-only: never write "
          "through it unless writable.")
      .def(
          "__dlpack_device__", [](const PyMemoryObj&) { return py::make_tuple(kDlCpu, 0); },
          "(1, 0): host memory.")
      .def("__repr__", [](const PyMemoryObj& self) {
        return fmt::format("<baton.MemoryObj page {}, {} bytes>", self.get().page(),
                           self.get().bytes().size());
      });
}

}  // namespace baton::python
