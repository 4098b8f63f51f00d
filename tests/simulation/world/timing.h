// The time limits of the simulated deployment: short, so that every one of them is met. Relations
// are those of the defaults.
#pragma once

#include "src/base/scheduler.h"

namespace baton::simulation {

using std::chrono::milliseconds;

inline constexpr Duration kHandshakeTimeout = milliseconds(500);
inline constexpr Duration kAdmissionTimeout = milliseconds(3'000);
/// Sender's extra time for the receiver's own word about an admission that timed out.
inline constexpr Duration kAdmissionSlack = milliseconds(500);
inline constexpr Duration kPutTimeout = milliseconds(4'000);
inline constexpr Duration kReadTimeout = milliseconds(1'000);
inline constexpr Duration kDrainTimeout = milliseconds(200);
inline constexpr Duration kRequestIdleTimeout = milliseconds(3'000);
inline constexpr Duration kGateTimeout = milliseconds(8'000);
inline constexpr Duration kClaimTimeout = milliseconds(1'000);
inline constexpr Duration kClaimTtl = milliseconds(10'000);
inline constexpr Duration kLease = milliseconds(400);
inline constexpr Duration kMaxRestart = milliseconds(100);
/// After the faults have stopped, by when everything must have settled: a ticket that nobody used
/// is void after 30 s.
inline constexpr Duration kSettleBound = std::chrono::seconds(45);

}  // namespace baton::simulation
