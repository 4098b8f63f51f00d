#include <nlohmann/json.hpp>

#include "tools/demo/report.h"

namespace baton::demo {
namespace {

nlohmann::json request_json(const Outcome& outcome, std::size_t index) {
  const RequestOutcome& request = outcome.requests[index];
  const RequestResult result = request.handoff.value_or(RequestResult{});
  nlohmann::json json = {
      {"prompt_tokens", outcome.plan.prompt_tokens[index]},
      {"chunks_total", result.puts.chunks_total},
      {"chunks_sent", result.puts.chunks_sent},
      {"chunks_skipped", result.puts.chunks_skipped},
      {"bytes_written", result.puts.bytes_written},
      {"bytes_eager", result.puts.bytes_eager},
      {"put_ms", result.puts.put_ms},
      {"ttft_ms", result.ttft_ms},
      {"identical", request.identical()},
      {"admission_ms", result.puts.admission_ms},
      {"prefiller", result.prefiller},
      {"decoder", result.decoder},
      {"second_turn", outcome.plan.requests[index].follows >= 0},
  };
  if (!result.error.empty()) {
    json["error"] = result.error;
  }
  return json;
}

}  // namespace

std::string to_json_text(const Outcome& outcome) {
  const RunEnd end = outcome.end.value_or(RunEnd{});
  nlohmann::json json = {
      {"identical_all", outcome.identical_all()},
      {"transport", outcome.transport()},
      {"pages_total", end.pages_total},
      {"pages_retained_at_end", end.pages_retained},
      {"pages_free_after_evict_all", end.pages_free_after_evict},
      {"requests_open_at_once", end.peak_open},
      {"requests", nlohmann::json::array()},
  };
  for (std::size_t i = 0; i < outcome.requests.size(); ++i) {
    json["requests"].push_back(request_json(outcome, i));
  }
  if (!outcome.failure.empty()) {
    json["failure"] = outcome.failure;
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

}  // namespace baton::demo
