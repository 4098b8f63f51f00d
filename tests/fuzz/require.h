// What must hold for every input of a fuzz target.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace baton::fuzz {

/// Ends the program if it doesn't: the fuzzer keeps the input that did it.
inline void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
  }
}

}  // namespace baton::fuzz
