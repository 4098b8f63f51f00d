// How requests fail, restart or are cancelled, and how the sender ends.
#include <fmt/format.h>

#include <set>
#include <utility>

#include "src/base/log.h"
#include "src/sender/sender.h"
#include "src/wire/status_text.h"

namespace baton::sender {
namespace {

/// As many as the receiver remembers.
constexpr std::size_t kFailuresRemembered = 1'024;

}  // namespace

// ---- failing -----------------------------------------------------------------------------------

void Sender::fail_request(const RequestKey& key, const Status& why) {
  const auto found = requests_.find(key);
  if (found == requests_.end() || !found->second.failure.ok()) {
    return;
  }
  Request& request = found->second;
  if (request.phase < Request::Phase::kOpen) {
    fail_open(key, why);
    return;
  }
  if (request.phase == Request::Phase::kNotifying && request.puts.empty()) {
    return;  // It has succeeded, and everybody was told.
  }
  log::warning("[{}] failed: {}", key.req_id, std::string(why.message()));
  request.failure = why;
  remember_failure(key, why);
  env_.scheduler.cancel(std::exchange(request.timer, kNoTimer));
  notifier_->forget(request.notice);
  tell_cancel(key, request, why);
  tell_proxy(key, request, why);
  for (PutTask* put : std::vector<PutTask*>(request.puts)) {
    put->fail(why);
  }
  env_.scheduler.post(lifetime_.guard([this, key] {
    advance(key);
    tell_if_idle();
  }));
}

Status Sender::failed_before(const RequestKey& key, const Status& why) {
  return Status(why.code(),
                fmt::format("request {} failed before: {}; a retry needs another attempt",
                            key.req_id, std::string(why.message())));
}

void Sender::remember_failure(const RequestKey& key, const Status& why) {
  if (failed_.emplace(key, why).second) {
    failed_order_.push_back(key);
  }
  if (failed_order_.size() > kFailuresRemembered) {
    failed_.erase(failed_order_.front());
    failed_order_.pop_front();
  }
}

void Sender::tell_cancel(const RequestKey& key, const Request& request, const Status& why) {
  if (request.link->state() != PeerLink::State::kReady || request.link->is_stock()) {
    return;  // The receiver sees the lost connection; an LMCache one hears when all writes are
             // over.
  }
  wire::CancelNotif cancel;
  cancel.req_id = key.req_id;
  cancel.baton = {request.link->parties(), key.attempt, wire::status_text(why)};
  request.link->send_or_reset(cancel);
}

void Sender::tell_proxy(const RequestKey& key, const Request& request, const Status& why) {
  if (config_.proxy_kind == ProxyKind::kBaton) {
    notifier_->tell_failure({key.req_id, config_.epoch, key.attempt, config_.layout.worker_id,
                             static_cast<std::uint32_t>(why.code()), wire::status_text(why)},
                            request.proxy_incarnation, env_.scheduler.now() + config_.put_timeout);
  }
}

bool Sender::cancel(const std::string& req_id, const Status& why) {
  std::vector<RequestKey> attempts;
  for (auto it = requests_.lower_bound({req_id, 0});
       it != requests_.end() && it->first.req_id == req_id; ++it) {
    attempts.push_back(it->first);
  }
  for (const RequestKey& key : attempts) {
    fail_request(key, why);
  }
  const bool reads = fail_reads_of(req_id, why);
  return !attempts.empty() || reads;
}

std::vector<std::string> Sender::transports_in_use() const {
  std::set<std::string> names;
  for (const auto& [address, link] : links_) {
    if (link->state() == PeerLink::State::kReady) {
      names.emplace(link->welcome().transport);
    }
  }
  return {names.begin(), names.end()};
}

void Sender::close(Task idle) {
  closing_ = true;
  when_idle_ = std::move(idle);
  std::vector<RequestKey> all;
  for (const auto& [key, request] : requests_) {
    all.push_back(key);
  }
  for (const RequestKey& key : all) {
    fail_request(key, absl::CancelledError(std::string("the backend is closed")));
  }
  fail_all_reads(absl::CancelledError(std::string("the backend is closed")));
  tell_if_idle();
}

void Sender::tell_if_idle() {
  if (puts_.empty() && reads_.empty() && requests_.empty() && when_idle_) {
    env_.scheduler.post(std::exchange(when_idle_, nullptr));
  }
}

// ---- what links and transports tell ---------------------------------------------------------

void Sender::on_link_down(PeerLink& link, const Status& why) {
  fail_reads_over(link, Status(StatusCode::kUnavailable, why.message()));
  std::vector<RequestKey> affected;
  for (const auto& [key, request] : requests_) {
    if (request.link == &link) {
      affected.push_back(key);
    }
  }
  for (const RequestKey& key : affected) {
    const auto found = requests_.find(key);
    if (found != requests_.end() && !restart(key, found->second, why)) {
      fail_request(key, why);
    }
  }
}

bool Sender::restart(const RequestKey& key, Request& request, const Status& why) {
  if (closing_ || !request.failure.ok() || request.has_completed || request.link->is_stock()) {
    return false;
  }
  request.opened_at.reset();
  request.known_at.reset();
  if (request.phase < Request::Phase::kOpen) {
    if (request.phase == Request::Phase::kStaging) {
      env_.staging->forget(request.staging_waiter);
    }
    request.phase = Request::Phase::kConnecting;
    request.resend.reset();
    connect_for(key);
    return true;
  }
  if (request.phase == Request::Phase::kNotifying) {
    notifier_->forget(request.notice);
    request.phase = Request::Phase::kSealed;
  }
  log::info("[{}] is put again to the receiver's next incarnation: {}", key.req_id,
            std::string(why.message()));
  for (PutTask* put : std::vector<PutTask*>(request.puts)) {
    put->restart(why);
  }
  return true;
}

void Sender::on_receiver_gone(const Epoch& peer, const Status& why) {
  for (const auto& [address, link] : links_) {
    if (link->state() == PeerLink::State::kReady && link->welcome().epoch == peer) {
      link->reset(Status(why.code(), fmt::format("receiver {} is gone: {}", address.init_endpoint,
                                                 std::string(why.message()))));
      return;
    }
  }
}

void Sender::on_writer_connected(const Epoch& /*peer*/) {}
void Sender::on_writer_gone(const Epoch& /*peer*/, const Status& /*why*/) {}

}  // namespace baton::sender
