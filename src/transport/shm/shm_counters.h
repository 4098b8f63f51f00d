// What the shm transport counted: for logs, metrics and tests.
#pragma once

#include <cstdint>

namespace baton::transport::shm {

struct ShmCounters {
  std::uint64_t connections_refused = 0;  ///< wrong user, or no pid
  std::uint64_t openings_refused = 0;     ///< said something wrong, or can't be taken in
  std::uint64_t openings_expired = 0;     ///< left, or was too late, or made room for a newcomer
  std::uint64_t writers_severed = 0;      ///< connection lost without the word `released`
};

}  // namespace baton::transport::shm
