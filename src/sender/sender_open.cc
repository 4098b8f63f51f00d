// How a request is opened: the receiver's pages first, then staging, whole or not at all (P4).
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "src/base/log.h"
#include "src/sender/sender.h"

namespace baton::sender {
namespace {

/// The receiver knows best why a request was not admitted in time: its answer gets this much more.
constexpr Duration kAnswerSlack = std::chrono::milliseconds(500);

std::uint32_t chunks_of(const OpenSpec& spec) {
  return spec.keys.empty() ? spec.total_chunks : static_cast<std::uint32_t>(spec.keys.size());
}

}  // namespace

void Sender::open(OpenSpec spec, Opened opened) {
  const RequestKey key = spec.key;
  Status why;
  if (closing_) {
    why = absl::CancelledError(std::string("the backend is closed"));
  } else if (requests_.contains(key)) {
    why = absl::AlreadyExistsError(
        fmt::format("request {} (attempt {:x}) is open already", key.req_id, key.attempt));
  } else if (const auto failed = failed_.find(key); failed != failed_.end()) {
    why = failed_before(key, failed->second);
  } else if (const std::uint32_t pages = env_.staging->counts().total; chunks_of(spec) > pages) {
    why = absl::ResourceExhaustedError(fmt::format(
        "request {} has {} chunks, the sender has {} staging pages in all: it can never fit; "
        "enlarge the sender's pd_buffer_size",
        key.req_id, chunks_of(spec), pages));
  }
  if (!why.ok()) {
    env_.scheduler.post([opened = std::move(opened), why]() mutable { opened(why); });
    return;
  }
  Request& request = requests_[key];
  request.phase = Request::Phase::kConnecting;
  request.link = &link_to(spec.receiver);
  request.proxy_incarnation = notifier_->incarnation();
  request.open_deadline = env_.scheduler.now() + spec.timeout;
  request.spec = std::move(spec);
  request.opened = std::move(opened);
  request.timer =
      env_.scheduler.run_at(request.open_deadline + kAnswerSlack, lifetime_.guard([this, key] {
        const auto found = requests_.find(key);
        found->second.timer = kNoTimer;
        const bool staging = found->second.phase == Request::Phase::kStaging;
        fail_open(key, absl::DeadlineExceededError(fmt::format(
                           "request {} was not admitted in time: it waited for {} "
                           "(pd_admission_timeout_ms)",
                           key.req_id,
                           staging ? "staging pages of its sender" : "pages of the receiver")));
      }));
  connect_for(key);
}

void Sender::connect_for(const RequestKey& key) {
  // In a turn of its own: `opened` is never called inline.
  env_.scheduler.post(lifetime_.guard([this, key] {
    const auto found = requests_.find(key);
    if (found != requests_.end() && found->second.phase == Request::Phase::kConnecting) {
      found->second.link->ensure(lifetime_.guard([this, key](const Status& status) {
        if (status.ok()) {
          ask_admission(key);
        } else {
          fail_open(key, status);
        }
      }));
    }
  }));
}

void Sender::ask_admission(const RequestKey& key) {
  const auto found = requests_.find(key);
  if (found == requests_.end() || found->second.phase != Request::Phase::kConnecting) {
    return;
  }
  Request& request = found->second;
  request.phase = Request::Phase::kAdmitting;
  request.opened_at = request.link->welcome().epoch;
  request.total_chunks = chunks_of(request.spec);
  if (request.link->is_stock()) {
    reserve_staging(key);  // Nobody there admits requests.
    return;
  }
  if (Status sent = send_open(key, request); absl::IsUnavailable(sent)) {
    // The connection is gone, and the news of that is under way: then it is asked again.
    request.link->reset(sent);
  } else if (!sent.ok()) {
    fail_open(key, sent);
  } else if (request.link->may_repeat()) {
    request.resend = std::make_unique<ResendTimer>(env_.scheduler);
    request.resend->start([this, key] {
      // If it can't be sent now, the next time may be better.
      static_cast<void>(send_open(key, requests_.at(key)));
    });
  }
}

Status Sender::send_open(const RequestKey& key, const Request& request) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(request.open_deadline -
                                                                          env_.scheduler.now());
  wire::OpenRequest message;
  message.parties = request.link->parties();
  message.req_id = key.req_id;
  message.attempt = key.attempt;
  message.keys = request.spec.keys;
  message.total_chunks = request.spec.total_chunks;
  message.timeout_ms = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(left.count(), 1, std::numeric_limits<std::uint32_t>::max()));
  return request.link->send(message);
}

void Sender::on_open_response(PeerLink& link, const wire::OpenResponse& response) {
  const RequestKey key{response.req_id, response.attempt};
  const auto found = requests_.find(key);
  if (found == requests_.end()) {
    if (response.code == 0) {
      // Admitted after nobody waited any more.
      link.send_or_reset(wire::ReleaseNotif{link.parties(), key.req_id, key.attempt});
    }
    return;
  }
  if (found->second.link != &link || found->second.phase != Request::Phase::kAdmitting) {
    return;
  }
  if (response.code != 0) {
    fail_open(key, Status(static_cast<StatusCode>(response.code), response.message));
    return;
  }
  Request& request = found->second;
  request.resend.reset();
  if (!request.spec.in_place) {
    reserve_staging(key);
    return;
  }
  // After its admission, so that what is granted ahead is beyond what it was promised.
  request.wish = request.link->wish_ahead(chunks_of(request.spec));
  request.link->when_answered(lifetime_.guard([this, key] {
    const auto admitted = requests_.find(key);
    if (admitted != requests_.end() && admitted->second.phase == Request::Phase::kAdmitting) {
      reserve_staging(key);
    }
  }));
}

void Sender::reserve_staging(const RequestKey& key) {
  Request& request = requests_.at(key);
  request.phase = Request::Phase::kStaging;
  request.known_at = request.opened_at;
  request.resend.reset();
  auto waiter = env_.staging->reserve(
      chunks_of(request.spec),
      lifetime_.guard([this, key](std::shared_ptr<StagingReservation> reservation) {
        const auto found = requests_.find(key);
        if (found == requests_.end() || found->second.phase != Request::Phase::kStaging) {
          return;  // Failed meanwhile; the reservation goes back with this call.
        }
        Request& opened = found->second;
        opened.phase = Request::Phase::kOpen;
        opened.spec = {};
        log::debug("[{}] open", key.req_id);
        restart_idle_timer(key, opened);
        if (opened.wish != nullptr && opened.link->ahead() != nullptr) {
          reservation->lend_first(
              [stock = opened.link->ahead()](const TensorMeta& meta, std::uint32_t most) {
                return stock->lend(meta, most);
              });
        }
        std::exchange(opened.opened, nullptr)(std::move(reservation));
      }));
  if (!waiter.ok()) {
    fail_open(key, waiter.status());
    return;
  }
  request.staging_waiter = *waiter;
}

void Sender::fail_open(const RequestKey& key, const Status& why) {
  const auto found = requests_.find(key);
  if (found == requests_.end() || found->second.phase >= Request::Phase::kOpen) {
    return;
  }
  Request request = std::move(found->second);
  requests_.erase(found);
  env_.scheduler.cancel(request.timer);
  if (request.phase == Request::Phase::kStaging) {
    env_.staging->forget(request.staging_waiter);
  }
  if (request.phase >= Request::Phase::kAdmitting &&
      request.link->state() == PeerLink::State::kReady) {
    request.link->send_or_reset(
        wire::ReleaseNotif{request.link->parties(), key.req_id, key.attempt});
  }
  log::warning("[{}] not opened: {}", key.req_id, std::string(why.message()));
  tell_proxy(key, request, why);
  env_.scheduler.post([opened = std::move(request.opened), why]() mutable { opened(why); });
  tell_if_idle();
}

Task Sender::release_task(const RequestKey& key) {
  return lifetime_.guard([this, key] { release(key); });
}

void Sender::release(const RequestKey& key) {
  const auto found = requests_.find(key);
  if (found == requests_.end() || found->second.phase != Request::Phase::kOpen ||
      !found->second.failure.ok()) {
    return;
  }
  Request& request = found->second;
  request.abandoned = true;
  if (!request.puts.empty()) {
    return;  // advance() comes back when they have ended.
  }
  env_.scheduler.cancel(request.timer);
  PeerLink& link = *request.link;
  requests_.erase(found);
  link.end_stock_request(key.req_id, absl::CancelledError(std::string("it was given up")));
  if (link.state() == PeerLink::State::kReady) {
    link.send_or_reset(wire::ReleaseNotif{link.parties(), key.req_id, key.attempt});
  }
  tell_if_idle();
}

}  // namespace baton::sender
