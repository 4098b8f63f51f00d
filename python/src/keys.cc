// CacheEngineKey, CacheLayout.
#include <fmt/format.h>
#include <pybind11/operators.h>
#include <pybind11/stl.h>

#include <string>
#include <utility>

#include "baton/key.h"
#include "baton/pd_backend.h"
#include "python/src/module.h"
#include "python/src/status.h"

namespace py = pybind11;

namespace baton::python {
namespace {

/// LMCache's hashes are Python integers; Baton's are their f"{int:x}".
std::string to_hex(const py::object& chunk_hash) {
  if (py::isinstance<py::str>(chunk_hash)) {
    return chunk_hash.cast<std::string>();
  }
  const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(chunk_hash.ptr()));
  if (!number) {
    throw py::error_already_set();
  }
  return py::str("{:x}").format(number).cast<std::string>();
}

CacheEngineKey make_key(std::string model_name, std::uint32_t world_size, std::uint32_t worker_id,
                        const py::object& chunk_hash, DType dtype,
                        std::optional<std::uint32_t> layer_id, std::vector<std::string> tags) {
  CacheEngineKey key{std::move(model_name), world_size, worker_id,
                     to_hex(chunk_hash),    dtype,      layer_id,
                     std::move(tags)};
  raise_unless_ok(CacheEngineKey::validate(key.to_string()));
  return key;
}

void add_key(py::module_& module) {
  py::class_<CacheEngineKey>(
      module, "CacheEngineKey",
      "Names the KV of up to chunk_size tokens for one worker (TP rank). Its string is LMCache's: "
      "model_name@world_size@worker_id@chunk_hash_hex@dtype[@layer_id][@tag%value...]")
      .def(py::init(&make_key), py::arg("model_name"), py::arg("world_size") = 1,
           py::arg("worker_id") = 0, py::arg("chunk_hash"), py::arg("dtype") = DType::kHalf,
           py::arg("layer_id") = py::none(), py::arg("tags") = std::vector<std::string>{},
           "chunk_hash: an int, or its hexadecimal digits. InvalidArgument names the part that is "
           "wrong.")
      .def_static(
          "from_string",
          [](const std::string& text) { return value_or_raise(CacheEngineKey::parse(text)); },
          py::arg("text"), "InvalidArgument names the part that is wrong.")
      .def("to_string", &CacheEngineKey::to_string, "LMCache's spelling, to the byte.")
      .def_readonly("model_name", &CacheEngineKey::model_name, "The engine's.")
      .def_readonly("world_size", &CacheEngineKey::world_size, "TP ranks.")
      .def_readonly("worker_id", &CacheEngineKey::worker_id, "This rank.")
      .def_property_readonly(
          "chunk_hash",
          [](const CacheEngineKey& self) {
            return py::reinterpret_steal<py::int_>(
                PyLong_FromString(self.chunk_hash.c_str(), nullptr, 16));
          },
          "The hash of the whole prefix, an int as in LMCache.")
      .def_readonly("chunk_hash_hex", &CacheEngineKey::chunk_hash, "The same in hexadecimal.")
      .def_readonly("dtype", &CacheEngineKey::dtype, "Element type.")
      .def_readonly("layer_id", &CacheEngineKey::layer_id, "None for a key of all layers.")
      .def_readonly("tags", &CacheEngineKey::tags, "'tag%value', in the order of the string.")
      .def(py::self == py::self)
      .def("__hash__",
           [](const CacheEngineKey& self) { return std::hash<std::string>{}(self.to_string()); })
      .def("__str__", &CacheEngineKey::to_string)
      .def("__repr__",
           [](const CacheEngineKey& self) {
             return fmt::format("CacheEngineKey.from_string('{}')", self.to_string());
           })
      .def(py::pickle([](const CacheEngineKey& self) { return py::str(self.to_string()); },
                      [](const py::str& text) {
                        return value_or_raise(CacheEngineKey::parse(text.cast<std::string>()));
                      }));
}

}  // namespace

void add_keys(py::module_& module) {
  add_key(module);
  py::class_<CacheLayout>(
      module, "CacheLayout",
      "What the engine knows of its KV cache. Sender and receiver must agree on all of it; the "
      "handshake compares it and names what differs.")
      .def(py::init([](std::string model_name, std::string model_fingerprint,
                       std::string hash_scheme, TensorMeta full_chunk, std::uint32_t world_size,
                       std::uint32_t worker_id) {
             return CacheLayout{std::move(model_name),
                                std::move(model_fingerprint),
                                std::move(hash_scheme),
                                world_size,
                                worker_id,
                                std::move(full_chunk)};
           }),
           py::arg("model_name"), py::arg("model_fingerprint"), py::arg("hash_scheme"),
           py::arg("full_chunk"), py::arg("world_size") = 1, py::arg("worker_id") = 0,
           "model_fingerprint: equal weights, equal strings. hash_scheme: how chunk hashes are "
           "made, with version and seed. full_chunk: [2, L, T, D] (KV_2LTD) or [1, L, T, D] "
           "(KV_MLA_FMT) with T = chunk_size tokens.")
      .def_readonly("model_name", &CacheLayout::model_name, "As in the keys.")
      .def_readonly("model_fingerprint", &CacheLayout::model_fingerprint,
                    "Differs when weights do; equal on both sides.")
      .def_readonly("hash_scheme", &CacheLayout::hash_scheme,
                    "How chunk hashes are made; equal on both sides.")
      .def_readonly("full_chunk", &CacheLayout::full_chunk,
                    "Shape of a chunk of chunk_size tokens.")
      .def_readonly("world_size", &CacheLayout::world_size, "TP ranks.")
      .def_readonly("worker_id", &CacheLayout::worker_id, "This rank.")
      .def("__repr__", [](const CacheLayout& self) {
        return fmt::format("CacheLayout({}@{}@{})", self.model_name, self.world_size,
                           self.worker_id);
      });
}

}  // namespace baton::python
