#include "tests/conformance/transport_under_test.h"

namespace baton::conformance {

std::vector<Maker> transports_under_test() {
  return {{"loopback", make_loopback_under_test},
          {"shm", make_shm_under_test},
          {"tcp", make_tcp_under_test},
          {"ucx", make_ucx_under_test}};
}

}  // namespace baton::conformance
