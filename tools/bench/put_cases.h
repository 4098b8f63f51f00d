// What cases with a Baton sender and receiver share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tools/bench/run.h"

namespace baton::bench {

/// A Baton sender and its receiver, two processes.
class BatonPair {
 public:
  /// `settings`: transport, integrity, poll, chunk_bytes and chunks.
  BatonPair(Run& run, const Json& settings);

  /// `times` puts of `each` chunks under new keys, one after the other; in microseconds each, from
  /// submission to the last key's callback. Their requests are claimed and released afterwards,
  /// outside the time, so that their pages may be evicted by the next.
  std::vector<double> puts(std::uint32_t each, std::uint32_t times);
  /// Their sum.
  double pass(std::uint32_t each, std::uint32_t times);

  /// The last `each` keys once more, all of which are there; in microseconds. Throws Failed if a
  /// byte was written.
  double put_again(std::uint32_t each);
  /// Processor time of both up to now.
  double cpu_seconds();

  /// One more put whose bytes are compared. Throws Failed if they differ.
  void check_contents(std::uint32_t each);

  Worker& sender() { return *sender_; }
  Worker& receiver() { return *receiver_; }

 private:
  std::unique_ptr<Worker> receiver_;
  std::unique_ptr<Worker> sender_;
  std::uint64_t next_key_ = 0;
  std::uint64_t repeats_ = 0;
};

/// lmcache_mode's two processes: benchmarks/lmcache_mode/README.md.
class LmcachePair {
 public:
  static constexpr const char* kWrite =
      "memcpy on a progress thread into the decoder's memory, polled every 1 ms";

  /// `settings`: chunk_bytes and chunks.
  LmcachePair(Run& run, const Json& settings);

  /// As BatonPair's.
  std::vector<double> puts(std::uint32_t each, std::uint32_t times);
  double pass(std::uint32_t each, std::uint32_t times);
  /// One allocation round trip, in microseconds.
  double allocate(std::uint32_t keys);

  Worker& prefiller() { return *prefiller_; }
  Worker& decoder() { return *decoder_; }

 private:
  std::unique_ptr<Worker> decoder_;
  std::unique_ptr<Worker> prefiller_;
  std::uint64_t next_key_ = 0;
};

/// The large cases' work: every sample goes once through both buffers, a batch after the other.
class LargePut {
 public:
  explicit LargePut(const Run& run)
      : chunk_bytes_(run.sized<std::uint64_t>(4U << 20U, 1U << 20U)),
        chunks_(run.sized(256U, 16U)),
        each_(run.sized(32U, 8U)) {}

  Json buffer() const { return {{"chunk_bytes", chunk_bytes_}, {"chunks", chunks_}}; }
  Json settings(const std::string& transport, const std::string& integrity) const {
    return {{"transport", transport},
            {"integrity", integrity},
            {"poll", "sleep"},
            {"chunk_bytes", chunk_bytes_},
            {"chunks", chunks_},
            {"batch", each_},
            {"buffer_bytes_each_side", chunk_bytes_ * chunks_}};
  }
  std::uint64_t chunk_bytes() const { return chunk_bytes_; }
  std::uint32_t chunks() const { return chunks_; }
  std::uint32_t chunks_each() const { return each_; }
  std::uint32_t times() const { return chunks_ / each_; }
  double gbps(double us) const { return static_cast<double>(chunk_bytes_ * chunks_) / us / 1e3; }

 private:
  std::uint64_t chunk_bytes_;
  std::uint32_t chunks_;
  std::uint32_t each_;
};

void run_put_shm_cases(Run& run);
void run_put_tcp_cases(Run& run);
void run_put_ucx_cases(Run& run);
void run_put_inplace_case(Run& run);

}  // namespace baton::bench
