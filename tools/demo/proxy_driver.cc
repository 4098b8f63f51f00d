#include "tools/demo/proxy_driver.h"

#include <algorithm>
#include <span>
#include <utility>

#include "src/engine/chunk_hash.h"
#include "tools/demo/conversation.h"

namespace baton::demo {
namespace {

constexpr std::uint32_t kRanks = 1;

std::uint32_t window_of(const Setup& setup) {
  return std::max<std::uint32_t>(4, 2 * (setup.prefillers + setup.decoders));
}

void note_error(RequestResult& result, const std::string& error) {
  if (result.error.empty()) {
    result.error = error;
  }
}

}  // namespace

ProxyDriver::ProxyDriver(Scheduler& scheduler, proxy::ReleaseGate& gate, proxy::Router router,
                         const Setup& setup, std::vector<PlannedRequest> requests, Outlets outlets)
    : scheduler_(scheduler),
      gate_(gate),
      router_(std::move(router)),
      setup_(setup),
      outlets_(std::move(outlets)),
      window_(window_of(setup)),
      unfinished_(static_cast<std::uint32_t>(requests.size())) {
  for (PlannedRequest& plan : requests) {
    Request& request = requests_.emplace_back();
    request.result.index = plan.index;
    if (plan.follows < 0) {
      request.prompt = std::move(plan.tokens);
      queue_.push_back(plan.index);
    } else {
      requests_[static_cast<std::size_t>(plan.follows)].next_turn = plan.index;
    }
    request.plan = std::move(plan);
  }
}

void ProxyDriver::start(std::vector<WorkerReady> decoders) {
  decoders_ = std::move(decoders);
  pump();
}

void ProxyDriver::pump() {
  while (open_ < window_ && !queue_.empty()) {
    Request& request = requests_[queue_.front()];
    queue_.pop_front();
    request.open = true;
    peak_open_ = std::max(peak_open_, ++open_);
    request.result.prompt_tokens = static_cast<std::uint32_t>(request.prompt.size());
    if (Status status = dispatch(request); !status.ok()) {
      note_error(request.result, std::string(status.message()));
      request.puts = PutsEnded{.index = request.plan.index, .error = {}};
      finish(request);
    }
  }
}

std::string ProxyDriver::prefix_of(const std::vector<Token>& prompt) const {
  if (prompt.size() < setup_.chunk_tokens) {
    return {};
  }
  const auto first = std::span(prompt).first(setup_.chunk_tokens);
  return engine::chunk_keys(first, setup_.chunk_tokens, {}).front().to_string();
}

Status ProxyDriver::dispatch(Request& request) {
  auto assignment = router_.open(prefix_of(request.prompt));
  if (!assignment.ok()) {
    return assignment.status();
  }
  request.at = *std::move(assignment);
  request.result.prefiller = static_cast<std::uint32_t>(request.at.prefiller);
  request.result.decoder = static_cast<std::uint32_t>(request.at.decoder);
  const std::uint32_t index = request.plan.index;
  // Before the prefiller knows the name: an earlier word would not be kept.
  Status expected =
      gate_.expect(request.at.req_id, kRanks, std::chrono::milliseconds(setup_.timeout_ms),
                   [this, index](const Status& status) { on_released(index, status); });
  if (!expected.ok()) {
    return expected;
  }
  request.dispatched = scheduler_.now();
  const WorkerReady& decoder = decoders_[request.at.decoder];
  outlets_.to_prefiller(
      request.result.prefiller,
      PrefillJob{index, request.at.req_id, request.prompt, decoder.init_port, decoder.alloc_port});
  return absl::OkStatus();
}

ProxyDriver::Request* ProxyDriver::find_open(std::uint32_t index) {
  return index < requests_.size() && requests_[index].open ? &requests_[index] : nullptr;
}

void ProxyDriver::on_released(std::uint32_t index, const Status& status) {
  Request* request = find_open(index);
  if (request == nullptr || absl::IsCancelled(status)) {
    return;  // Forgotten, because its puts failed: that error is the one to report.
  }
  if (!status.ok()) {
    note_error(request->result, std::string(status.message()));
    finish_if_ready(*request);
    return;
  }
  request->released = true;
  decode_if_ready(*request);
}

void ProxyDriver::on_first_token(const FirstToken& first) {
  if (Request* request = find_open(first.index)) {
    request->first = first.step;
    request->result.ttft_ms =
        std::chrono::duration<double, std::milli>(scheduler_.now() - request->dispatched).count();
    decode_if_ready(*request);
  }
}

void ProxyDriver::decode_if_ready(Request& request) {
  if (!request.released || !request.first.has_value() || request.decoding) {
    return;
  }
  request.decoding = true;
  outlets_.to_decoder(request.result.decoder, DecodeJob{request.plan.index, request.at.req_id,
                                                        request.prompt, request.first->token});
}

void ProxyDriver::on_puts_ended(const PutsEnded& ended) {
  Request* request = find_open(ended.index);
  if (request == nullptr) {
    return;
  }
  router_.prefilled(request->at.req_id);
  request->puts = ended;
  if (!ended.error.empty()) {
    note_error(request->result, ended.error);
    gate_.forget(request->at.req_id);
  }
  finish_if_ready(*request);
}

void ProxyDriver::on_decode_done(DecodeDone done) {
  Request* request = find_open(done.index);
  if (request == nullptr) {
    return;
  }
  if (!done.error.empty()) {
    note_error(request->result, done.error);
  }
  request->decoded = std::move(done);
  finish_if_ready(*request);
}

void ProxyDriver::finish_if_ready(Request& request) {
  const bool failed = !request.result.error.empty();
  if (request.puts.has_value() && (request.decoded.has_value() || (failed && !request.decoding))) {
    finish(request);
    pump();
  }
}

void ProxyDriver::finish(Request& request) {
  request.open = false;
  --open_;
  --unfinished_;
  router_.close(request.at.req_id);
  request.result.puts = *request.puts;
  if (request.decoded.has_value() && request.result.error.empty()) {
    request.result.steps = std::move(request.decoded->steps);
    request.result.steps.insert(request.result.steps.begin(), *request.first);
  }
  outlets_.on_result(request.result);
  if (request.next_turn.has_value()) {
    Request& next = requests_[*request.next_turn];
    if (request.result.error.empty()) {
      next.prompt = second_turn(request.prompt, request.result.steps, next.plan.tokens);
      queue_.push_front(next.plan.index);
    } else {
      next.result.error = "not started: its first turn failed";
      --unfinished_;
      outlets_.on_result(next.result);
    }
  }
  if (unfinished_ == 0) {
    outlets_.on_all_done();
  }
}

}  // namespace baton::demo
