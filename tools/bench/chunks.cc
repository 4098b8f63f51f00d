#include "tools/bench/chunks.h"

#include <fmt/format.h>

#include <cstring>

#include "tools/bench/failed.h"

namespace baton::bench {
namespace {

constexpr const char* kModel = "bench";
constexpr std::int64_t kTokens = 16;
constexpr std::size_t kElementBytes = 2;

TransportChoice transport_of(const std::string& name) {
  if (name == "shm") {
    return TransportChoice::kShm;
  }
  if (name == "tcp") {
    return TransportChoice::kTcp;
  }
  if (name == "ucx") {
    return TransportChoice::kUcx;
  }
  throw Failed("there is no transport " + name);
}

}  // namespace

CacheLayout layout_of(std::size_t chunk_bytes) {
  CacheLayout layout;
  layout.model_name = kModel;
  layout.model_fingerprint = "none";
  layout.hash_scheme = "numbers";
  const auto width = static_cast<std::int64_t>(chunk_bytes / (2 * kTokens * kElementBytes));
  layout.full_chunk = {{2, 1, kTokens, width}, DType::kHalf, MemoryFormat::kKv2ltd};
  return layout;
}

Options options_of(const Json& arguments, Role role) {
  Options options;
  options.pd_role = role;
  options.pd_buffer_size =
      arguments.at("chunk_bytes").get<std::size_t>() * arguments.at("chunks").get<std::size_t>();
  options.chunk_size = kTokens;
  options.pd_transport = transport_of(arguments.at("transport").get<std::string>());
  options.insecure_data_plane = options.pd_transport == TransportChoice::kUcx;
  options.pd_integrity =
      arguments.at("integrity").get<std::string>() == "off" ? Integrity::kOff : Integrity::kFull;
  options.busy_poll = arguments.at("poll").get<std::string>() == "busy";
  options.pd_peer_init_port = {0};
  options.pd_peer_alloc_port = {0};
  return options;
}

std::vector<CacheEngineKey> keys_of(std::uint64_t first, std::uint64_t count) {
  std::vector<CacheEngineKey> keys;
  keys.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    // As wide as the hashes of real prefixes.
    keys.push_back(
        {kModel, 1, 0, fmt::format("{:x}", (1ULL << 62U) + first + i), DType::kHalf, {}, {}});
  }
  return keys;
}

std::string request_of(const std::string& prefix, std::uint64_t first_key) {
  return fmt::format("{}-{}", prefix, first_key);
}

void fill(std::span<std::byte> bytes, std::uint64_t seed) {
  std::uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;
  for (std::size_t i = 0; i + sizeof state <= bytes.size(); i += sizeof state) {
    state ^= state << 13U;
    state ^= state >> 7U;
    state ^= state << 17U;
    std::memcpy(&bytes[i], &state, sizeof state);
  }
}

}  // namespace baton::bench
