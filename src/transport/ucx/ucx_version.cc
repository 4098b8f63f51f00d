#include "src/transport/ucx/ucx_version.h"

#include <ucp/api/ucp.h>

namespace baton::transport::ucx {

std::array<unsigned, 3> ucx_version() {
  std::array<unsigned, 3> version{};
  ucp_get_version(&version[0], &version[1], &version[2]);
  return version;
}

}  // namespace baton::transport::ucx
