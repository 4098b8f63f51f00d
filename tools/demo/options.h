// What the user asks of `baton demo`.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace baton::demo {

/// The failing controls: each damages one chunk once, and must be caught.
enum class Fault : std::uint8_t {
  kNone,
  kCorrupt,             ///< a byte flipped between remote completion and verification
  kCorruptAfterCommit,  ///< a byte flipped after the commit
  kDropPut,             ///< one chunk's write left out
};

struct DemoOptions {
  std::uint32_t prefillers = 1;
  std::uint32_t decoders = 1;
  std::string model;  ///< GGUF file; empty: the tiny model, made on first use
  std::string transport = "auto";
  bool insecure_data_plane = false;  ///< ucx may write over TCP
  std::string json;                  ///< file to write results to; empty: none
  Fault fault = Fault::kNone;
  std::uint32_t requests = 18;
  std::uint32_t tokens = 16;  ///< generated per request
  std::uint32_t chunk_tokens = 128;
  std::chrono::seconds timeout{300};
};

inline constexpr std::uint32_t kMaxWorkers = 16;  ///< of each kind
inline constexpr std::uint32_t kMaxRequests = 1000;
inline constexpr std::uint32_t kMaxTokens = 1024;
inline constexpr std::uint32_t kMaxChunkTokens = 4096;

}  // namespace baton::demo
