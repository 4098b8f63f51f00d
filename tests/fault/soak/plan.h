// What one request of the soak does: all of it follows from seed, round and number.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "baton/key.h"

namespace baton::soak {

inline constexpr std::uint32_t kPrefillers = 2;
inline constexpr std::uint32_t kDecoders = 2;
inline constexpr std::uint32_t kRequestsPerRound = 80;
/// Under way at a time: with kPages, more than fits.
inline constexpr std::uint32_t kWindow = 12;
/// Of each buffer, a prefiller's and a decoder's.
inline constexpr std::uint32_t kPages = 40;

/// splitmix64: the same numbers on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(next() % bound); }
  bool one_in(std::uint32_t count) { return below(count) == 0; }

 private:
  std::uint64_t state_;
};

/// The generator of one round's choices.
Random round_random(std::uint64_t seed, std::uint64_t round);

struct RequestPlan {
  std::string req_id;
  std::uint32_t prefiller = 0;
  std::uint32_t decoder = 0;
  std::vector<std::uint64_t> chunks;  ///< numbers that keys and bytes are made of; distinct
  std::uint32_t puts = 1;             ///< chunked prefill: at most one a chunk
  bool opened = false;                ///< by open_request; otherwise admitted at once or refused
  bool named = false;                 ///< opened with its keys, not with their count
  bool cancelled = false;             ///< by the prefiller, after its first put
};

RequestPlan plan_request(std::uint64_t seed, std::uint64_t round, std::uint32_t number);

CacheEngineKey chunk_key(std::uint64_t chunk, std::uint32_t ranks, std::uint32_t rank);
std::vector<CacheEngineKey> chunk_keys(const RequestPlan& plan, std::uint32_t ranks,
                                       std::uint32_t rank);
/// What fill() and holds() take: other bytes for every key.
std::uint64_t byte_seed(std::uint64_t chunk, std::uint32_t rank);

}  // namespace baton::soak
