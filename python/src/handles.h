// Handles on what a backend is doing, for Python.
#pragma once

#include <chrono>
#include <optional>
#include <utility>

#include "baton/claim.h"
#include "baton/put_handle.h"
#include "baton/request_handle.h"
#include "python/src/fork_guard.h"

namespace baton::python {

struct PyClaim {
  explicit PyClaim(Claim claim) : held(std::move(claim)) {}
  ForkGuard<Claim> held;
};

struct PyRequestHandle {
  explicit PyRequestHandle(RequestHandle request) : held(std::move(request)) {}
  ForkGuard<RequestHandle> held;
};

struct PyPut {
  explicit PyPut(PutHandle put) : held(std::move(put)) {}
  ForkGuard<PutHandle> held;
};

/// Ctrl-C is looked for between slices of this length: nothing that waits holds it up for longer.
inline constexpr std::chrono::milliseconds kSlice{50};

/// Seconds, as Python has them. InvalidArgument if it is negative, not a number, or above a day.
std::optional<std::chrono::milliseconds> to_ms(std::optional<double> seconds);

}  // namespace baton::python
