#include "src/proxy/request_id.h"

#include "src/base/epoch.h"

namespace baton::proxy {

// An epoch is what we need: 128 bits from the kernel's random source.
std::string make_request_id() {
  return Epoch::random().hex();
}

}  // namespace baton::proxy
