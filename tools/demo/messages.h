// What the processes of the demo say to each other: one JSON object a line.
//
//     main ── Setup, PlannedRequest… ──▶ reference     ── ReferenceResult…, or Failure ──▶ main
//     main ── Setup, PlannedRequest… ──▶ proxy         ── RequestResult…, RunEnd, or Failure ──▶
//     main proxy ── Setup, jobs…, Finish ──▶ workers        ── WorkerReady, results…, WorkerEnd ──▶
//     proxy
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "baton/status.h"
#include "src/engine/chunk_hash.h"
#include "src/engine/generate.h"
#include "tools/demo/options.h"

namespace baton::demo {

using engine::Step;
using engine::Token;

/// Everything a process must know of the run.
struct Setup {
  std::string model;
  std::uint32_t prefillers = 1;
  std::uint32_t decoders = 1;
  std::uint32_t requests = 0;  ///< PlannedRequests that follow
  std::uint32_t tokens = 0;
  std::uint32_t chunk_tokens = 0;
  std::uint32_t context_tokens = 0;
  std::uint32_t buffer_pages = 0;  ///< of each worker
  std::string transport;
  bool insecure_data_plane = false;
  std::vector<std::string> ucx_devices;  ///< prefillers' first, then decoders', in turn
  std::uint32_t timeout_ms = 0;
  Fault fault = Fault::kNone;
  std::uint32_t fault_at_chunk = 0;  ///< damage the chunk with this number, from 1
  // For workers only.
  std::uint32_t worker = 0;
  std::uint16_t proxy_port = 0;
};

/// A first turn (`follows` < 0) has its whole prompt here. A second turn's prompt is that of
/// request `follows`, the tokens generated then, and these.
struct PlannedRequest {
  std::uint32_t index = 0;
  std::int32_t follows = -1;
  std::vector<Token> tokens;
};

struct WorkerReady {
  std::uint16_t init_port = 0;   ///< decoders only
  std::uint16_t alloc_port = 0;  ///< decoders only
};

struct PrefillJob {
  std::uint32_t index = 0;
  std::string req_id;
  std::vector<Token> prompt;
  std::uint16_t init_port = 0;
  std::uint16_t alloc_port = 0;
};

struct FirstToken {
  std::uint32_t index = 0;
  Step step;
};

/// All puts of a request have ended, or it was not admitted.
struct PutsEnded {
  std::uint32_t index = 0;
  std::string error;  ///< empty: all chunks are committed
  std::uint32_t chunks_total = 0;
  std::uint32_t chunks_sent = 0;
  std::uint32_t chunks_skipped = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t bytes_eager = 0;
  double admission_ms = 0;
  double put_ms = 0;
};

struct DecodeJob {
  std::uint32_t index = 0;
  std::string req_id;
  std::vector<Token> prompt;
  Token first_token = 0;
};

struct DecodeDone {
  std::uint32_t index = 0;
  std::string error;
  std::vector<Step> steps;  ///< those after the first token
};

struct Finish {};

struct WorkerEnd {
  std::vector<std::string> transports;  ///< prefillers: really used
  std::uint64_t pages_total = 0;        ///< this and the following: decoders
  std::uint64_t pages_retained = 0;
  std::uint64_t pages_free_after_evict = 0;
  std::uint32_t faults = 0;  ///< chunks damaged on purpose
};

struct ReferenceResult {
  std::uint32_t index = 0;
  std::vector<Step> steps;
};

struct RequestResult {
  std::uint32_t index = 0;
  std::uint32_t prefiller = 0;
  std::uint32_t decoder = 0;
  std::uint32_t prompt_tokens = 0;
  double ttft_ms = 0;
  PutsEnded puts;
  std::string error;  ///< of the request as a whole, the puts' included
  std::vector<Step> steps;
};

struct RunEnd {
  std::vector<std::string> transports;
  std::uint64_t pages_total = 0;
  std::uint64_t pages_retained = 0;
  std::uint64_t pages_free_after_evict = 0;
  std::uint32_t faults = 0;
  std::uint32_t peak_open = 0;
};

/// The sender can't go on, and says why before it ends.
struct Failure {
  std::string message;
};

using Message =
    std::variant<Setup, PlannedRequest, WorkerReady, PrefillJob, FirstToken, PutsEnded, DecodeJob,
                 DecodeDone, Finish, WorkerEnd, ReferenceResult, RequestResult, RunEnd, Failure>;

/// One line, newline included.
std::string encode(const Message& message);
/// kDataLoss for anything but what encode() makes.
StatusOr<Message> decode(std::string_view line);

}  // namespace baton::demo
