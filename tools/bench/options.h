// What the user asks of `baton bench`.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace baton::bench {

/// Whether processes sleep until something comes, or spin for it.
enum class PollMode : std::uint8_t { kSleep, kBusy };

struct BenchOptions {
  std::string group = "all";                 ///< put, latency, control, scale, idle, or all
  std::vector<std::string> cases;            ///< only these; empty: all of the group
  std::string json;                          ///< file to write results to; empty: none
  std::uint32_t pairs = 0;                   ///< of interleaved samples; 0: each case's own number
  PollMode latency_poll = PollMode::kSleep;  ///< of the latency cases, Baton and references alike
  std::string ping_channel = "unix";         ///< of latency_4k's ping-pong: zmq, unix or tcp
  std::string control_channel = "lane";      ///< of control_4096: lane or zmq
  bool quick = false;  ///< small buffers, few samples: a test of the benchmark
};

/// In the order in which they are measured.
inline constexpr std::array<std::string_view, 15> kCases = {"put_shm_large",
                                                            "put_shm_large_digest",
                                                            "put_shm_vs_lmcache_mode",
                                                            "put_tcp_large",
                                                            "put_ucx_overhead",
                                                            "put_inplace",
                                                            "latency_64k",
                                                            "latency_64k_event",
                                                            "latency_4k",
                                                            "control_4096",
                                                            "control_flat",
                                                            "dedupe_512",
                                                            "resident_bytes",
                                                            "scale_64",
                                                            "idle"};

/// Fewer would make the interval of a median meaningless.
inline constexpr std::uint32_t kMinPairs = 15;
inline constexpr std::uint32_t kMaxPairs = 1000;
/// Whatever --pairs says; --quick.
inline constexpr std::uint32_t kQuickPairs = 3;

}  // namespace baton::bench
