#include "src/proxy/release_gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "src/wire/codec.h"

namespace baton::proxy {
namespace {

constexpr std::size_t kMaxReqIdBytes = 1024;
/// Attempts of one request that are told apart; an engine that tries more often has lost its way.
constexpr std::size_t kMaxAttempts = 8;

// A ProxyNotif is a tag and an id; whatever is much longer is none.
wire::Limits notif_limits() {
  wire::Limits limits;
  limits.max_message_bytes = 4 * kMaxReqIdBytes;
  limits.max_string_bytes = kMaxReqIdBytes;
  return limits;
}

}  // namespace

StatusOr<std::unique_ptr<ReleaseGate>> ReleaseGate::bind(Scheduler& scheduler,
                                                         control::Network& network,
                                                         const std::string& endpoint,
                                                         GateOptions options) {
  std::unique_ptr<ReleaseGate> gate(new ReleaseGate(scheduler, options));
  auto pull = network.bind_pull(
      endpoint, [gate = gate.get()](std::string_view bytes) { gate->on_message(bytes); });
  if (!pull.ok()) {
    return pull.status();
  }
  gate->pull_ = *std::move(pull);
  return gate;
}

ReleaseGate::ReleaseGate(Scheduler& scheduler, GateOptions options)
    : scheduler_(scheduler), options_(options) {}

ReleaseGate::~ReleaseGate() {
  while (!waiting_.empty()) {
    end_wait(waiting_.begin(), absl::CancelledError("the proxy is shutting down"));
  }
}

Status ReleaseGate::check(const std::string& req_id, std::uint32_t ranks, Duration timeout) const {
  if (req_id.empty() || req_id.size() > kMaxReqIdBytes) {
    return absl::InvalidArgumentError(fmt::format("a request id has 1 to {} bytes; this one has {}",
                                                  kMaxReqIdBytes, req_id.size()));
  }
  if (ranks == 0 || timeout <= Duration::zero()) {
    return absl::InvalidArgumentError(
        fmt::format("[{}] can't wait for {} ranks for {} ns: both must be above 0", req_id, ranks,
                    timeout.count()));
  }
  if (waiting_.contains(req_id)) {
    return absl::FailedPreconditionError(
        fmt::format("[{}] is waited for already: every request needs an id of its own", req_id));
  }
  if (waiting_.size() >= options_.max_live_requests) {
    return absl::ResourceExhaustedError(
        fmt::format("[{}] {} requests wait for their prefillers already, the most that this proxy "
                    "takes: try again later",
                    req_id, waiting_.size()));
  }
  return absl::OkStatus();
}

Status ReleaseGate::expect(const std::string& req_id, std::uint32_t ranks, Duration timeout,
                           Released released) {
  if (Status valid = check(req_id, ranks, timeout); !valid.ok()) {
    return valid;
  }
  Waiting& waiting = waiting_[req_id];
  waiting.ranks = ranks;
  waiting.timeout = timeout;
  waiting.released = std::move(released);
  waiting.timer = scheduler_.run_after(timeout, [this, req_id] { on_timeout(req_id); });
  return absl::OkStatus();
}

void ReleaseGate::forget(const std::string& req_id) {
  if (const auto found = waiting_.find(req_id); found != waiting_.end()) {
    end_wait(found, absl::CancelledError(fmt::format("[{}] is no longer waited for", req_id)));
  }
}

void ReleaseGate::on_message(std::string_view bytes) {
  const auto message = wire::decode(bytes, notif_limits());
  if (!message.ok()) {
    ++counters_.undecodable;
  } else if (const auto* notif = std::get_if<wire::ProxyNotif>(&*message)) {
    on_notif(*notif);
  } else if (const auto* failure = std::get_if<wire::FailNotif>(&*message)) {
    on_failure(*failure);
  } else {
    ++counters_.unexpected;
  }
}

void ReleaseGate::on_notif(const wire::ProxyNotif& notif) {
  const auto found = waiting_.find(notif.req_id);
  if (found == waiting_.end()) {
    ++counters_.unmatched;
    return;
  }
  Waiting& waiting = found->second;
  std::size_t spoken = 0;
  if (!notif.baton.has_value()) {
    spoken = ++waiting.heard;
  } else {
    const auto& attempts = waiting.attempts;
    if (notif.baton->worker_id >= waiting.ranks) {
      ++counters_.unmatched;
      return;
    }
    if (attempts.size() >= kMaxAttempts && !attempts.contains(notif.baton->attempt)) {
      ++counters_.unmatched;
      return;
    }
    std::set<std::uint32_t>& ranks = waiting.attempts[notif.baton->attempt];
    if (!ranks.insert(notif.baton->worker_id).second) {
      ++counters_.repeated;
      return;
    }
    spoken = ranks.size();
  }
  ++counters_.counted;
  if (spoken == waiting.ranks) {
    end_wait(found, absl::OkStatus());
  }
}

void ReleaseGate::on_failure(const wire::FailNotif& notif) {
  const auto found = waiting_.find(notif.req_id);
  if (found == waiting_.end()) {
    ++counters_.unmatched;
    return;
  }
  ++counters_.failures;
  end_wait(found, absl::AbortedError(fmt::format("[{}] rank {} failed: {}", notif.req_id,
                                                 notif.worker_id, notif.message)));
}

void ReleaseGate::on_timeout(const std::string& req_id) {
  const auto found = waiting_.find(req_id);
  const Waiting& waiting = found->second;  // The timer ends with the wait, so the wait is there.
  std::size_t heard = waiting.heard;
  for (const auto& [attempt, ranks] : waiting.attempts) {
    heard = std::max(heard, ranks.size());
  }
  const auto timeout_ms = std::chrono::ceil<std::chrono::milliseconds>(waiting.timeout).count();
  end_wait(found, absl::DeadlineExceededError(
                      fmt::format("[{}] {} of {} ranks reported their KV within {} ms", req_id,
                                  heard, waiting.ranks, timeout_ms)));
}

void ReleaseGate::end_wait(WaitingMap::iterator waiting, Status status) {
  scheduler_.cancel(waiting->second.timer);
  scheduler_.post([released = std::move(waiting->second.released),
                   status = std::move(status)]() mutable { released(std::move(status)); });
  waiting_.erase(waiting);
}

}  // namespace baton::proxy
