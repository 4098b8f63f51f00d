#include "python/src/status.h"

#include <string>

namespace py = pybind11;

namespace baton::python {

py::object to_error(const Status& status) {
  return py::module_::import("baton._errors")
      .attr("error_of")(static_cast<int>(status.code()), std::string(status.message()));
}

void raise(const Status& status) {
  const py::object error = to_error(status);
  PyErr_SetObject(py::type::handle_of(error).ptr(), error.ptr());
  throw py::error_already_set();
}

}  // namespace baton::python
