// Which Baton this is; docs/abi.md says what a version promises.
#pragma once

#include <string_view>

/// Of the headers. CMakeLists.txt holds it against the project's version.
#define BATON_VERSION_STRING "0.1.0"

namespace baton {

/// Of the library that runs: BATON_VERSION_STRING of its own headers.
std::string_view version();

}  // namespace baton
