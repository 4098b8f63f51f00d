// Claim, RequestHandle, and the core of a PutHandle.
#include "python/src/handles.h"

#include <fmt/format.h>
#include <pybind11/stl.h>

#include <cmath>
#include <string>

#include "baton/read_handle.h"
#include "python/src/gil.h"
#include "python/src/memory.h"
#include "python/src/module.h"
#include "python/src/status.h"

namespace py = pybind11;

namespace baton::python {
namespace {

constexpr double kMaxSeconds = 86'400;

std::vector<PyMemoryObj> chunks_of(const PyClaim& self) {
  const auto chunks = self.held.get().chunks();
  return wrap({chunks.begin(), chunks.end()}, /*writable=*/false);
}

PyMemoryObj chunk_at(const PyClaim& self, py::ssize_t index) {
  const auto chunks = self.held.get().chunks();
  const auto size = static_cast<py::ssize_t>(chunks.size());
  if (index < -size || index >= size) {
    throw py::index_error(fmt::format("chunk {} of {}", index, size));
  }
  return {chunks[static_cast<std::size_t>(index < 0 ? index + size : index)], /*writable=*/false};
}

void add_claim(py::module_& module) {
  py::class_<PyClaim>(
      module, "Claim",
      "All chunks of a request, in the order of the claimed keys: a sequence of MemoryObj. They "
      "stay until the claim and every MemoryObj and view made from it are gone. `with` releases "
      "it.")
      .def_property_readonly("chunks", &chunks_of, "The chunks as a list of MemoryObj.")
      .def("__len__", [](const PyClaim& self) { return self.held.get().chunks().size(); })
      .def("__getitem__", &chunk_at, py::arg("index"))
      .def("__iter__", [](const PyClaim& self) { return py::iter(py::cast(chunks_of(self))); })
      .def(
          "release", [](PyClaim& self) { self.held.get().release(); },
          "Ends the claim before its destruction; MemoryObjs and views keep their pages.")
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__",
           [](PyClaim& self, const py::args& /*exception*/) { self.held.get().release(); });
}

void add_request(py::module_& module) {
  py::class_<PyRequestHandle>(
      module, "RequestHandle",
      "An admitted request: pages are promised at the receiver, staging pages reserved here; "
      "nothing waits for memory any more. When it is closed, dropped, or its `with` block ends "
      "before a put with is_last_prefill, the request is given back on both sides.")
      .def(
          "allocate",
          [](const PyRequestHandle& self, const TensorMeta& meta) {
            return PyMemoryObj(value_or_raise(self.held.get().allocate(meta)), true);
          },
          py::arg("meta"),
          "One staging page for a chunk of this shape. ResourceExhausted once all reserved pages "
          "were taken.")
      .def(
          "batched_allocate",
          [](const PyRequestHandle& self, const TensorMeta& meta, std::uint32_t count) {
            return wrap(value_or_raise(self.held.get().batched_allocate(meta, count)), true);
          },
          py::arg("meta"), py::arg("count"), "`count` staging pages, or ResourceExhausted.")
      .def_property_readonly(
          "req_id", [](const PyRequestHandle& self) { return self.held.get().req_id(); },
          "As in the TransferSpec.")
      .def_property_readonly(
          "attempt", [](const PyRequestHandle& self) { return self.held.get().attempt(); },
          "Tells requests of one req_id apart.")
      .def(
          "close", [](const PyRequestHandle& self) { self.held.get().close(); },
          "Gives back what was not used.")
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__", [](const PyRequestHandle& self, const py::args& /*exception*/) {
        self.held.get().close();
      });
}

}  // namespace

std::optional<std::chrono::milliseconds> to_ms(std::optional<double> seconds) {
  if (!seconds.has_value()) {
    return std::nullopt;
  }
  if (!(*seconds >= 0 && *seconds <= kMaxSeconds)) {  // false for NaN too
    raise(absl::InvalidArgumentError(
        fmt::format("a time limit is 0 to {} seconds, not {}", kMaxSeconds, *seconds)));
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(*seconds * 1000)));
}

void add_handles(py::module_& module) {
  add_claim(module);
  add_request(module);
  py::class_<PutStats>(module, "PutStats", "What came of a put.")
      .def_readonly("chunks_total", &PutStats::chunks_total, "Keys of the put.")
      .def_readonly("chunks_sent", &PutStats::chunks_sent, "Written and committed by this put.")
      .def_readonly("chunks_skipped", &PutStats::chunks_skipped,
                    "Left out: the receiver had them, or got them from another put.")
      .def_readonly("bytes_written", &PutStats::bytes_written, "Of the chunks that were sent.")
      .def_readonly("bytes_eager", &PutStats::bytes_eager,
                    "Of these, in the request, past the transport.")
      .def_readonly("restarts", &PutStats::restarts,
                    "Times it began anew because the receiver had restarted.")
      .def_property_readonly(
          "duration_sec",
          [](const PutStats& self) { return std::chrono::duration<double>(self.duration).count(); },
          "Submission to the end, in seconds.");
  py::class_<ReadResult>(module, "ReadResult", "What a read has brought.")
      .def_readonly("hits", &ReadResult::hits, "Chunks that were read and verified.")
      .def_property_readonly(
          "errors",
          [](const ReadResult& self) {
            py::list errors;
            for (const Status& status : self.statuses) {
              errors.append(status.ok() ? py::object(py::none()) : to_error(status));
            }
            return errors;
          },
          "For each key, in order: None, or NotFound, DataLoss, ... as an exception.")
      .def_readonly("bytes_read", &ReadResult::bytes_read, "Of the hits.")
      .def_property_readonly(
          "duration_sec",
          [](const ReadResult& self) {
            return std::chrono::duration<double>(self.duration).count();
          },
          "Submission to the end, in seconds.");
  py::class_<PyPut>(module, "PutCore", "The extension's half of a PutHandle.")
      .def("done", [](const PyPut& self) { return self.held.get().done(); })
      .def("stats", [](const PyPut& self) { return self.held.get().stats(); })
      .def(
          "settle",
          [](const PyPut& self) {
            const PutHandle put = self.held.get();
            unlocked([&] { static_cast<void>(put.wait()); });
          },
          "Waits for the very end; only called when the put's callbacks are due, an instant "
          "before.");
}

}  // namespace baton::python
