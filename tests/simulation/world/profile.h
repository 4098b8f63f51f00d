// What a seed decides before anything happens.
#pragma once

#include <cstdint>

#include "src/base/scheduler.h"
#include "tests/simulation/world/random.h"

namespace baton::simulation {

enum class FaultLevel : std::uint8_t { kNone, kModerate, kHeavy };

/// Of a million: events at which something happens to a process; messages that something befalls.
struct FaultRates {
  std::uint32_t crash_sender = 0;
  std::uint32_t crash_receiver = 0;
  std::uint32_t crash_proxy = 0;
  std::uint32_t cut = 0;
  std::uint32_t partition = 0;
  std::uint32_t pause = 0;
  std::uint32_t cancel = 0;  ///< a request, by its user
  std::uint32_t cancel_at_decoder = 0;
  std::uint32_t lose_message = 0;
  std::uint32_t delay_message = 0;
  std::uint32_t duplicate_message = 0;
  std::uint32_t reorder_message = 0;
  std::uint32_t lose_notice = 0;  ///< a ProxyNotif
  std::uint32_t drop_write = 0;   ///< reported as complete, never landed
  std::uint32_t drop_read = 0;    ///< the same of a read
  std::uint32_t abandon = 0;      ///< of requests: their prefiller gives them back
};

struct Profile {
  std::uint32_t ranks = 1;
  std::uint32_t prefillers = 2;
  std::uint32_t decoders = 2;
  std::uint32_t requests = 30;
  std::uint32_t receiver_pages = 0;
  std::uint32_t staging_pages = 0;
  std::uint32_t max_chunks = 8;
  std::uint32_t documents = 4;
  Duration arrival_gap{};          ///< mean
  Duration chunk_compute{};        ///< prefill of one chunk, mean
  Duration piece_delay{};          ///< a third of a chunk's way, at most
  Duration chunk_read{};           ///< decode of one chunk, mean
  bool guarded = true;             ///< the data plane checks grants, or nobody does
  bool digests_writes = false;     ///< the data plane takes digests on the way, or the sender does
  bool paranoid = false;           ///< pd_integrity
  bool baton_proxy = false;        ///< pd_proxy_kind
  bool old_sender = false;         ///< the first prefiller speaks version 1 only
  bool reads = false;              ///< prefillers read what decoders have
  std::uint32_t eager_chunks = 0;  ///< puts of no more full chunks bring them along
  std::uint32_t pages_ahead = 0;   ///< pages that a prefiller keeps at each decoder
  bool in_place_too = false;       ///< some requests are computed in pages ahead
  bool implicit_too = false;       ///< some requests are not opened before their first put
  FaultLevel level = FaultLevel::kModerate;
  FaultRates rates;
};

/// Same seed and level: same profile.
Profile make_profile(std::uint64_t seed, FaultLevel level);

}  // namespace baton::simulation
