#include "tools/demo/report.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace baton::demo {
namespace {

constexpr std::uint64_t kKib = 1024;

const char* verdict_of(const RequestOutcome& request) {
  if (!request.handoff.has_value()) {
    return "no result";
  }
  if (!request.handoff->error.empty()) {
    return "FAILED";
  }
  return request.identical() ? "identical" : "DIFFERENT";
}

std::string row(const Outcome& outcome, std::size_t index) {
  const RequestOutcome& request = outcome.requests[index];
  const RequestResult result = request.handoff.value_or(RequestResult{});
  return fmt::format(
      "{:>3} {:>7} {:>5}  {:>3} → {:<3} {:>5} {:>8} {:>9} {:>9.1f} {:>8.1f} {:>8.1f}  {}\n",
      index + 1, outcome.plan.prompt_tokens[index],
      outcome.plan.requests[index].follows < 0 ? "1" : "2", result.prefiller, result.decoder,
      result.puts.chunks_sent, result.puts.chunks_skipped, result.puts.bytes_written / kKib,
      result.puts.admission_ms, result.puts.put_ms, result.ttft_ms, verdict_of(request));
}

std::string sums(const Outcome& outcome) {
  std::uint64_t sent = 0;
  std::uint64_t skipped = 0;
  std::uint64_t bytes = 0;
  for (const RequestOutcome& request : outcome.requests) {
    const RequestResult result = request.handoff.value_or(RequestResult{});
    sent += result.puts.chunks_sent;
    skipped += result.puts.chunks_skipped;
    bytes += result.puts.bytes_written;
  }
  return fmt::format("{} chunks sent ({} KiB), {} left out because the decoder had them.\n", sent,
                     bytes / kKib, skipped);
}

}  // namespace

std::string progress_line(const RequestOutcome& request, std::size_t finished, std::size_t of) {
  const RequestResult& result = *request.handoff;
  if (!result.error.empty()) {
    return fmt::format("  [{:>2}/{}] request {}: {}", finished, of, result.index + 1, result.error);
  }
  return fmt::format(
      "  [{:>2}/{}] request {}: {} tokens, prefiller {} → decoder {}, {} chunks sent, {} left out: "
      "{}",
      finished, of, result.index + 1, result.prompt_tokens, result.prefiller, result.decoder,
      result.puts.chunks_sent, result.puts.chunks_skipped, verdict_of(request));
}

std::string table(const Outcome& outcome) {
  std::string text =
      fmt::format("\n{:>3} {:>7} {:>5}  {:<9} {:>5} {:>8} {:>9} {:>9} {:>8} {:>8}\n", "#", "prompt",
                  "turn", "path", "sent", "left out", "KiB", "wait ms", "put ms", "ttft ms");
  for (std::size_t i = 0; i < outcome.requests.size(); ++i) {
    text += row(outcome, i);
  }
  text +=
      "\nprompt: tokens. path: prefiller → decoder. sent, left out: chunks; left out are those "
      "that\n"
      "the decoder had. wait: for admission. put: first put submitted → last put ended, by the\n"
      "prefiller's clock. ttft: dispatched to the prefiller → first token at the proxy.\n\n";
  text += sums(outcome);
  if (outcome.end.has_value()) {
    const RunEnd& end = *outcome.end;
    text += fmt::format(
        "Transport: {}. Up to {} requests open at once. Decoders' pages: {}; at the end {} "
        "retained "
        "as cache;\nafter their eviction {} free, {} lost.\n",
        outcome.transport(), end.peak_open, end.pages_total, end.pages_retained,
        end.pages_free_after_evict, outcome.pages_lost());
  }
  return text;
}

std::string verdict(const Outcome& outcome, const std::vector<std::string>& complaints) {
  const std::string count = fmt::format("{} of {} requests are identical to the run in one process",
                                        outcome.identical_count(), outcome.requests.size());
  if (complaints.empty()) {
    return count + ", tokens and logits; no page is lost.\n";
  }
  std::string text;
  for (const std::string& complaint : complaints) {
    text += "baton demo: " + complaint + '\n';
  }
  return text + "baton demo: FAILED; " + count + ".\n";
}

}  // namespace baton::demo
