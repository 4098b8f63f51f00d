#include "tests/simulation/world/history.h"

#include <cstdio>
#include <span>

#include "src/base/digest.h"

namespace baton::simulation {

void History::mix(std::string_view bytes) {
  digest_ = (digest_ ^ digest_of(std::as_bytes(std::span(bytes)))) * 0x100000001B3U;
}

void History::add(std::string_view who, std::string_view what) {
  const auto now = clock_.now().time_since_epoch().count();
  digest_ = (digest_ ^ static_cast<std::uint64_t>(now)) * 0x100000001B3U;
  mix(who);
  mix(what);
  if (verbose_) {
    fmt::print("{:>12.6f} ms  {:<6} {}\n", static_cast<double>(now) / 1e6, who, what);
  }
}

}  // namespace baton::simulation
