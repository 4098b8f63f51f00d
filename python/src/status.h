// Status as exceptions: python/baton/_errors.py has the classes.
#pragma once

#include <pybind11/pybind11.h>

#include <utility>

#include "baton/status.h"

namespace baton::python {

/// An instance of the class for the status's code. Needs the GIL.
pybind11::object to_error(const Status& status);

/// Throws it. Needs the GIL.
[[noreturn]] void raise(const Status& status);

inline void raise_unless_ok(const Status& status) {
  if (!status.ok()) {
    raise(status);
  }
}

template <typename T>
T value_or_raise(StatusOr<T> result) {
  if (!result.ok()) {
    raise(result.status());
  }
  return *std::move(result);
}

}  // namespace baton::python
