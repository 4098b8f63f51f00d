// What prefillers and decoders of the soak have in common.
#pragma once

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "baton/pd_backend.h"
#include "tests/fault/soak/fleet.h"
#include "tests/support/backend_pair.h"

namespace baton::soak {

/// Until `done()`, or `limit` is over. For what Baton has no event of: a port that becomes free
/// again, and counts. False if it was in vain.
template <typename Done>
bool wait_until(Done done, std::chrono::milliseconds limit) {
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

/// A killed incarnation's ports may stay taken for a moment. Null, having said why, if it is
/// longer.
inline std::unique_ptr<PdBackend> start_backend(const Fleet& fleet, const Place& place) {
  constexpr std::chrono::milliseconds kPortLimit{5'000};
  CacheLayout layout = testing::small_layout();
  layout.world_size = fleet.options().ranks;
  layout.worker_id = place.rank;
  auto backend = PdBackend::create(fleet.backend_options(place), layout);
  wait_until(
      [&] {
        if (!backend.ok()) {
          backend = PdBackend::create(fleet.backend_options(place), layout);
        }
        return backend.ok();
      },
      kPortLimit);
  if (!backend.ok()) {
    std::cerr << fleet.name(place) << " can't begin: " << backend.status() << '\n';
    return nullptr;
  }
  return *std::move(backend);
}

/// The rest of the counts, for whoever looks for lost pages.
inline std::string describe(const BackendStats& stats) {
  return fmt::format(
      "{} of {} pages free, {} reserved, {} granted, {} held, {} retained, {} quarantined; {} "
      "requests, {} waiting; {} puts",
      stats.pages_free, stats.pages_total, stats.pages_reserved, stats.pages_granted,
      stats.pages_held, stats.pages_retained, stats.pages_quarantined, stats.requests,
      stats.requests_waiting, stats.puts);
}

}  // namespace baton::soak
