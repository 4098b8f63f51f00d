// DType, MemoryFormat, TensorMeta.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pybind11/operators.h>
#include <pybind11/stl.h>

#include <string>
#include <utility>

#include "baton/tensor_meta.h"
#include "python/src/module.h"
#include "python/src/status.h"

namespace py = pybind11;

namespace baton::python {
namespace {

constexpr DType kDTypes[] = {
    DType::kHalf,      DType::kBfloat16,    DType::kFloat,   DType::kDouble,     DType::kInt8,
    DType::kUint8,     DType::kInt16,       DType::kInt32,   DType::kInt64,      DType::kBool,
    DType::kFp8E4m3fn, DType::kFp8E4m3fnuz, DType::kFp8E5m2, DType::kFp8E5m2fnuz};
constexpr MemoryFormat kFormats[] = {MemoryFormat::kUndefined, MemoryFormat::kKv2ltd,
                                     MemoryFormat::kKvT2d,     MemoryFormat::kKv2td,
                                     MemoryFormat::kBinary,    MemoryFormat::kBinaryBuffer,
                                     MemoryFormat::kKvMla};

std::string repr(const TensorMeta& meta) {
  return fmt::format("TensorMeta(shape=[{}], dtype={}, fmt={})", fmt::join(meta.shape, ", "),
                     to_string(meta.dtype), to_string(meta.format));
}

}  // namespace

void add_metas(py::module_& module) {
  py::enum_<DType> dtype(module, "DType",
                         "Element type of a KV cache, named as LMCache names it: DType.half, "
                         "DType.bfloat16, ...");
  for (const DType value : kDTypes) {
    dtype.value(std::string(to_string(value)).c_str(), value);
  }
  dtype
      .def_static(
          "parse", [](const std::string& name) { return value_or_raise(parse_dtype(name)); },
          py::arg("name"), "The type that LMCache calls `name`; InvalidArgument if there is none.")
      .def_property_readonly(
          "itemsize", [](DType self) { return element_bytes(self); }, "Bytes of one element.");

  py::enum_<MemoryFormat> format(
      module, "MemoryFormat",
      "LMCache's memory formats; the numbers are its wire values. KV_2LTD is [2, L, T, D] (K and "
      "V, layers, tokens, hidden size per worker), KV_MLA_FMT is [1, L, T, D].");
  for (const MemoryFormat value : kFormats) {
    format.value(std::string(to_string(value)).c_str(), value);
  }
  format.def(
      "token_dim", [](MemoryFormat self) { return token_dim(self); },
      "Which dimension of the shape counts tokens, exactly as LMCache answers.");

  py::class_<TensorMeta>(module, "TensorMeta",
                         "Shape (elements in each dimension), element type and format of a chunk.")
      .def(py::init([](std::vector<std::int64_t> shape, DType dtype_value, MemoryFormat fmt_value) {
             TensorMeta meta{std::move(shape), dtype_value, fmt_value};
             raise_unless_ok(meta.bytes().status());
             return meta;
           }),
           py::arg("shape"), py::arg("dtype") = DType::kHalf,
           py::arg("fmt") = MemoryFormat::kKv2ltd,
           "InvalidArgument unless shape has 1 to 8 dimensions of at least 1.")
      .def_property_readonly(
          "shape", [](const TensorMeta& self) { return py::tuple(py::cast(self.shape)); },
          "Elements in each dimension.")
      .def_readonly("dtype", &TensorMeta::dtype, "Element type.")
      .def_readonly("fmt", &TensorMeta::format, "Memory format.")
      .def_property_readonly(
          "nbytes", [](const TensorMeta& self) { return value_or_raise(self.bytes()); },
          "Size in bytes.")
      .def_property_readonly(
          "tokens", [](const TensorMeta& self) { return value_or_raise(self.tokens()); },
          "Tokens in the chunk: shape[fmt.token_dim()].")
      .def(
          "with_tokens",
          [](const TensorMeta& self, std::int64_t tokens) {
            return value_or_raise(self.with_tokens(tokens));
          },
          py::arg("tokens"), "The same chunk cut down to `tokens` tokens: [2, L, tokens, D].")
      .def(
          "validate_for_put",
          [](const TensorMeta& self) { raise_unless_ok(self.validate_for_put()); },
          "InvalidArgument unless this is a KV_2LTD or KV_MLA_FMT chunk that can be put.")
      .def(py::self == py::self)
      .def("__hash__",
           [](const TensorMeta& self) {
             return py::hash(py::make_tuple(py::tuple(py::cast(self.shape)),
                                            static_cast<int>(self.dtype),
                                            static_cast<int>(self.format)));
           })
      .def("__repr__", &repr)
      .def(py::pickle(
          [](const TensorMeta& self) {
            return py::make_tuple(self.shape, static_cast<int>(self.dtype),
                                  static_cast<int>(self.format));
          },
          [](const py::tuple& state) {
            return TensorMeta{state[0].cast<std::vector<std::int64_t>>(),
                              static_cast<DType>(state[1].cast<int>()),
                              static_cast<MemoryFormat>(state[2].cast<int>())};
          }));
}

}  // namespace baton::python
