// The parts of the extension module; each adds its classes.
#pragma once

#include <pybind11/pybind11.h>

namespace baton::python {

void add_metas(pybind11::module_& module);    // DType, MemoryFormat, TensorMeta
void add_keys(pybind11::module_& module);     // CacheEngineKey, CacheLayout
void add_options(pybind11::module_& module);  // Options
void add_memory(pybind11::module_& module);   // MemoryObj
void add_handles(pybind11::module_& module);  // Claim, RequestHandle, PutCore, PutStats
void add_backend(pybind11::module_& module);  // Backend, BackendStats, Completions

}  // namespace baton::python
