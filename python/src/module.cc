// baton._baton: what python/baton/ is built on. Nothing of Python's is touched on Baton's progress
// thread: it only puts numbers and statuses into a queue (completions.h).
#include "python/src/module.h"

#include "python/src/fork_guard.h"
#include "python/src/gil.h"
#include "python/src/handles.h"

PYBIND11_MODULE(_baton, module) {
  using namespace baton::python;
  module.doc() = "Baton's extension module; use `import baton`.";
  add_metas(module);
  add_keys(module);
  add_options(module);
  add_memory(module);
  add_handles(module);
  add_backend(module);
  module.def(
      "_after_fork_in_child",
      [](const pybind11::args& leaked) {
        fork_generation.fetch_add(1, std::memory_order_relaxed);
        Inside::forget();
        leaked.inc_ref();
      },
      "From now on what was made before the fork raises FailedPrecondition. What is given is never "
      "freed: the destructor of a queue would wait for the parent's threads.");
  module.def(
      "_leave",
      [](double seconds) {
        const auto limit = *to_ms(seconds);
        Inside::leave();
        const pybind11::gil_scoped_release release;
        Inside::wait_for_none(limit);
      },
      pybind11::arg("seconds"),
      "At exit, when the backends are closed: waits until no thread is in Baton without the GIL.");
  module.def(
      "_write_unraisable",
      [](const pybind11::object& error, const pybind11::object& where) {
        PyErr_SetObject(pybind11::type::handle_of(error).ptr(), error.ptr());
        PyErr_WriteUnraisable(where.ptr());
      },
      pybind11::arg("error"), pybind11::arg("where"), "Hands an exception to sys.unraisablehook.");
}
