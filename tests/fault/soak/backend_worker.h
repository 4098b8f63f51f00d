// What prefillers and decoders of the soak have in common.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>

#include "baton/pd_backend.h"
#include "tests/fault/soak/fleet.h"
#include "tests/support/backend_pair.h"
#include "tests/support/waiting.h"

namespace baton::soak {

/// A killed incarnation's ports may stay taken for a moment. Null, having said why, if it is
/// longer.
inline std::unique_ptr<PdBackend> start_backend(const Fleet& fleet, const Place& place) {
  constexpr std::chrono::milliseconds kPortLimit{5'000};
  CacheLayout layout = testing::small_layout();
  layout.world_size = fleet.options().ranks;
  layout.worker_id = place.rank;
  auto backend = PdBackend::create(fleet.backend_options(place), layout);
  testing::wait_until(
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

/// For whoever looks for lost pages.
inline std::string describe(const BackendStats& stats) {
  return fmt::format(
      "{} of {} pages free, {} reserved, {} granted, {} held, {} retained, {} quarantined; {} "
      "requests, {} waiting; {} puts",
      stats.pages_free, stats.pages_total, stats.pages_reserved, stats.pages_granted,
      stats.pages_held, stats.pages_retained, stats.pages_quarantined, stats.requests,
      stats.requests_waiting, stats.puts);
}

/// Nothing is under way: what came back, and what did not.
inline Message settle(const Fleet& fleet, PdBackend& backend) {
  Message settled;
  settled.word = Word::kSettled;
  const bool came_back = testing::everything_comes_back(backend, fleet.settle_limit());
  const BackendStats stats = backend.stats();
  settled.count = static_cast<std::uint32_t>(stats.pages_total - stats.pages_free);
  if (!came_back || stats.pages_quarantined > 0) {
    settled.set_status(absl::InternalError(describe(stats)));
  }
  return settled;
}

}  // namespace baton::soak
