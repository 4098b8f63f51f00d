// Waits for what Baton has no event of.
#pragma once

#include <chrono>
#include <thread>

#include "baton/pd_backend.h"

namespace baton::testing {

/// Looks until `done()`; false if that takes longer than `limit`. For counts, and for the end of
/// what other processes hold: wherever there is an event, await it instead.
template <typename Done>
bool wait_until(Done done, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  constexpr std::chrono::milliseconds kPause{2};
  const auto give_up = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > give_up) {
      return false;
    }
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

/// True once nothing is under way and, with the cache evicted, every page is free.
inline bool everything_comes_back(PdBackend& backend,
                                  std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  return wait_until(
      [&] {
        backend.evict_all_retained();
        const BackendStats stats = backend.stats();
        return stats.pages_free == stats.pages_total && stats.requests == 0;
      },
      limit);
}

}  // namespace baton::testing
