#include "tools/demo/messages.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/base/text.h"

namespace baton::engine {
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Step, token, logits_digest)
}  // namespace baton::engine

namespace baton::demo {
namespace {

constexpr std::array<const char*, std::variant_size_v<Message>> kTypes = {
    "setup",       "planned_request", "worker_ready",     "prefill_job",
    "first_token", "puts_ended",      "decode_job",       "decode_done",
    "finish",      "worker_end",      "reference_result", "request_result",
    "run_end",     "failure"};

}  // namespace

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Setup, model, prefillers, decoders, requests, tokens,
                                   chunk_tokens, context_tokens, buffer_pages, transport,
                                   insecure_data_plane, ucx_devices, timeout_ms, fault,
                                   fault_at_chunk, worker, proxy_port)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PlannedRequest, index, follows, tokens)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WorkerReady, init_port, alloc_port)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PrefillJob, index, req_id, prompt, init_port, alloc_port)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FirstToken, index, step)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PutsEnded, index, error, chunks_total, chunks_sent,
                                   chunks_skipped, bytes_written, bytes_eager, admission_ms, put_ms)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DecodeJob, index, req_id, prompt, first_token)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DecodeDone, index, error, steps)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WorkerEnd, transports, pages_total, pages_retained,
                                   pages_free_after_evict, faults)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ReferenceResult, index, steps)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RequestResult, index, prefiller, decoder, prompt_tokens, ttft_ms,
                                   puts, error, steps)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RunEnd, transports, pages_total, pages_retained,
                                   pages_free_after_evict, faults, peak_open)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Failure, message)

static void to_json(nlohmann::json& json, const Finish& /*finish*/) {
  json = nlohmann::json::object();
}
static void from_json(const nlohmann::json& /*json*/, Finish& /*finish*/) {}

namespace {

/// Tries the alternatives' names one after the other.
template <std::size_t Index = 0>
Message decode_as(const std::string& type, const nlohmann::json& json) {
  if constexpr (Index < std::variant_size_v<Message>) {
    if (type == kTypes[Index]) {
      return json.get<std::variant_alternative_t<Index, Message>>();
    }
    return decode_as<Index + 1>(type, json);
  } else {
    throw nlohmann::json::other_error::create(501, "unknown type " + quote(type), &json);
  }
}

}  // namespace

std::string encode(const Message& message) {
  nlohmann::json json =
      std::visit([](const auto& value) { return nlohmann::json(value); }, message);
  json["type"] = kTypes[message.index()];
  // Error texts may quote bytes that are no UTF-8: they must not throw here.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

StatusOr<Message> decode(std::string_view line) {
  try {
    const nlohmann::json json = nlohmann::json::parse(line);
    return decode_as(json.at("type").get<std::string>(), json);
  } catch (const nlohmann::json::exception& error) {
    return absl::DataLossError(
        fmt::format("not a message of the demo: {} ({})", quote(line), error.what()));
  }
}

}  // namespace baton::demo
