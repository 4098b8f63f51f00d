// What the shm transport counted: for logs, metrics and tests.
#pragma once

#include <cstdint>

namespace baton::transport::shm {

struct ShmCounters {
  std::uint64_t connections_refused = 0;  ///< wrong user, no pid, or too many at once
  std::uint64_t hellos_refused = 0;       ///< malformed, wrong token, token in use
  std::uint64_t hellos_missing = 0;       ///< connected, and said nothing in time or at all
  std::uint64_t writers_severed = 0;      ///< connection lost without the word `released`
};

}  // namespace baton::transport::shm
