// Which UCX this process runs with.
#pragma once

#include <array>

namespace baton::transport::ucx {

/// Major, minor, release of the library that was loaded, not of the headers.
std::array<unsigned, 3> ucx_version();

}  // namespace baton::transport::ucx
