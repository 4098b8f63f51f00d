// The only source of chance in a simulation: the same seed gives the same numbers everywhere.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/base/epoch.h"
#include "src/base/scheduler.h"

namespace baton::simulation {

/// SplitMix64 (Steele, Lea, Flood 2014): tiny, and any seed is a good one.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }
  /// 0 … bound - 1; `bound` is small, so the bias of the modulus is nothing.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  std::uint32_t between(std::uint32_t low, std::uint32_t high) {
    return low + static_cast<std::uint32_t>(below(std::uint64_t{high} - low + 1));
  }
  Duration between(Duration low, Duration high) {
    return low + Duration(static_cast<Duration::rep>(
                     below(static_cast<std::uint64_t>((high - low).count()) + 1)));
  }
  /// True in `parts` of a million cases.
  bool ppm(std::uint32_t parts) { return parts > 0 && below(1'000'000) < parts; }
  bool percent(std::uint32_t parts) { return ppm(parts * 10'000); }

  template <typename Container>
  auto& pick(Container& from) {
    return from[static_cast<std::size_t>(below(from.size()))];
  }
  Epoch epoch() {
    Epoch made;
    for (std::uint8_t& byte : made.bytes) {
      byte = static_cast<std::uint8_t>(next());
    }
    made.bytes[0] |= 1U;  // never all zero
    return made;
  }
  /// A stream of its own, so that one part's draws don't shift another's.
  Random fork() { return Random(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace baton::simulation
