#include "tests/conformance/transport_under_test.h"

namespace baton::conformance {

std::vector<Maker> transports_under_test() {
  return {
    {"loopback", make_loopback_under_test}, {"shm", make_shm_under_test},
        {"tcp", make_tcp_under_test},
#if BATON_WITH_NIXL
        {"nixl", make_nixl_under_test},
#endif
    {
      "ucx", make_ucx_under_test
    }
  };
}

}  // namespace baton::conformance
