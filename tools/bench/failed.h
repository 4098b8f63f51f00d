// How the benchmark breaks off.
#pragma once

#include <stdexcept>
#include <string>

#include "baton/status.h"

namespace baton::bench {

/// Ends the run, whoever throws it: a measurement that something went wrong in is none. Whatever
/// was started is stopped on the way up.
class Failed : public std::runtime_error {
 public:
  explicit Failed(const std::string& what) : std::runtime_error(what) {}
};

/// The user ended it.
class Interrupted : public std::exception {};

inline void check(const Status& status, const std::string& what) {
  if (!status.ok()) {
    throw Failed(what + ": " + std::string(status.message()));
  }
}

template <typename T>
T checked(StatusOr<T> value, const std::string& what) {
  check(value.status(), what);
  return *std::move(value);
}

}  // namespace baton::bench
