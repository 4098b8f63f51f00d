#include "tests/simulation/world/profile.h"

#include <iterator>

namespace baton::simulation {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// One seed in so many runs without faults, whatever the level: everything must complete there.
constexpr std::uint64_t kCalmSeedOf = 15;
/// By seed, whatever else it decides. A prefiller that reads is never silent: what silence does
/// shows in the others.
constexpr bool kReads[] = {false, true, false, true, true, true, false};
/// Likewise. None, all, or only the small puts.
constexpr std::uint32_t kEagerChunks[] = {0, 2, 0, 1'000, 0};
/// Likewise. Without any, nobody's memory is mapped.
constexpr std::uint32_t kPagesAhead[] = {0, 2, 4, 0, 2, 0, 4, 2, 0, 4, 0};

FaultRates moderate_rates() {
  FaultRates rates;
  rates.crash_sender = 250;
  rates.crash_receiver = 200;
  rates.crash_proxy = 80;
  rates.cut = 600;
  rates.partition = 250;
  rates.pause = 500;
  rates.cancel = 400;
  rates.cancel_at_decoder = 300;
  rates.lose_message = 2'000;
  rates.delay_message = 20'000;
  rates.duplicate_message = 5'000;
  rates.reorder_message = 100'000;  // of those that could
  rates.lose_notice = 2'000;
  rates.drop_write = 2'000;
  rates.drop_read = 4'000;
  rates.abandon = 15'000;
  return rates;
}

FaultRates scaled(FaultRates rates, std::uint32_t factor) {
  for (std::uint32_t* rate :
       {&rates.crash_sender, &rates.crash_receiver, &rates.crash_proxy, &rates.cut,
        &rates.partition, &rates.pause, &rates.cancel, &rates.cancel_at_decoder,
        &rates.lose_message, &rates.delay_message, &rates.duplicate_message, &rates.reorder_message,
        &rates.lose_notice, &rates.drop_write, &rates.drop_read, &rates.abandon}) {
    *rate *= factor;
  }
  return rates;
}

}  // namespace

Profile make_profile(std::uint64_t seed, FaultLevel level) {
  Random random(seed * 0xD1342543DE82EF95U + 1);
  Profile profile;
  profile.ranks = seed % 4 == 0 ? 2 : 1;
  profile.prefillers = random.between(2U, 3U);
  profile.decoders = 2;
  profile.requests = random.between(30U, 40U);
  profile.max_chunks = random.between(4U, 9U);
  profile.receiver_pages = profile.max_chunks + random.between(0U, 2 * profile.max_chunks);
  profile.staging_pages = profile.max_chunks + random.between(0U, profile.max_chunks);
  profile.documents = random.between(2U, 5U);
  profile.chunk_compute = random.between(microseconds(50), microseconds(800));
  profile.chunk_read = random.between(microseconds(100), milliseconds(3));
  profile.piece_delay = random.between(microseconds(20), microseconds(900));
  profile.arrival_gap = random.between(microseconds(500), milliseconds(6));
  profile.guarded = random.percent(50);
  profile.paranoid = random.percent(25);
  profile.baton_proxy = random.percent(50);
  profile.old_sender = random.percent(12);
  profile.implicit_too = random.percent(50);
  profile.digests_writes = seed % 2 == 0;
  profile.reads = kReads[seed % std::size(kReads)];
  profile.eager_chunks = kEagerChunks[seed % std::size(kEagerChunks)];
  profile.pages_ahead = kPagesAhead[seed % std::size(kPagesAhead)];
  profile.in_place_too = profile.pages_ahead > 0 && seed % 3 > 0;
  profile.level = seed % kCalmSeedOf == 1 ? FaultLevel::kNone : level;
  if (profile.level == FaultLevel::kNone) {
    profile.implicit_too = false;  // Such a request may be refused whenever the pool is busy.
  }
  if (profile.level == FaultLevel::kModerate) {
    profile.rates = moderate_rates();
  } else if (profile.level == FaultLevel::kHeavy) {
    profile.rates = scaled(moderate_rates(), 5);
  }
  if (profile.old_sender) {
    // Version 1 trusts its sockets: it has no second try and no lease.
    profile.rates.lose_message = 0;
    profile.rates.duplicate_message = 0;
    profile.rates.reorder_message = 0;
  }
  return profile;
}

}  // namespace baton::simulation
