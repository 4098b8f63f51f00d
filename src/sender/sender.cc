#include "src/sender/sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "src/base/log.h"
#include "src/wire/codec.h"
#include "src/wire/status_text.h"

namespace baton::sender {
namespace {

RequestKey key_of(const PutSpec& spec) {
  return {spec.req_id, spec.attempt};
}

/// A put that never became a PutTask.
void refuse(Scheduler& scheduler, PutSpec spec, std::shared_ptr<detail::PutState> state,
            const Status& why) {
  PutStats stats;
  stats.chunks_total = static_cast<std::uint32_t>(spec.keys.size());
  spec.objects.clear();
  scheduler.post([spec = std::move(spec), state = std::move(state), stats, why]() mutable {
    if (spec.on_key_done) {
      std::string text;
      for (const std::string_view key : spec.keys) {
        text = key;
        spec.on_key_done(text, why);
      }
    }
    spec.on_key_done = nullptr;
    state->finish(why, stats);
  });
}

}  // namespace

StatusOr<std::unique_ptr<Sender>> Sender::create(Environment environment, Config config,
                                                 FaultHooks faults) {
  std::unique_ptr<Sender> sender(
      new Sender(std::move(environment), std::move(config), std::move(faults)));
  auto notifier = Notifier::create(sender->env_.scheduler, sender->env_.network,
                                   sender->config_.proxy_endpoint);
  if (!notifier.ok()) {
    return notifier.status();
  }
  sender->notifier_ = *std::move(notifier);
  for (transport::Transport* transport : sender->env_.transports) {
    transport->set_observer(sender.get());
  }
  return sender;
}

Sender::Sender(Environment environment, Config config, FaultHooks faults)
    : env_(std::move(environment)),
      config_(std::move(config)),
      faults_(std::move(faults)),
      digests_(env_.scheduler) {}

Sender::~Sender() = default;

PeerLink& Sender::link_to(const Address& address) {
  std::unique_ptr<PeerLink>& link = links_[address];
  if (link == nullptr) {
    link = std::make_unique<PeerLink>(
        env_.scheduler, env_.network, env_.transports, config_, address, connections_,
        PeerLink::Callbacks{
            [this](const PeerLink& from, const Epoch& receiver) {
              return check_sole_link(from, receiver);
            },
            [this](const PeerLink& from) { return list_requests(from); },
            [this](PeerLink& from, const wire::Message& message) { on_message(from, message); },
            [this](PeerLink& from, const Status& why) { on_link_down(from, why); }},
        env_.stock);
  }
  return *link;
}

Status Sender::check_sole_link(const PeerLink& link, const Epoch& receiver) const {
  if (receiver == config_.epoch) {
    return absl::FailedPreconditionError(
        fmt::format("receiver {} is this process itself", link.address().init_endpoint));
  }
  for (const auto& [address, other] : links_) {
    if (other.get() != &link && other->leads_to(receiver)) {
      return absl::FailedPreconditionError(
          fmt::format("receiver {} is the one that is connected as {}; use one address for it",
                      link.address().init_endpoint, address.init_endpoint));
    }
  }
  return absl::OkStatus();
}

// ---- puts --------------------------------------------------------------------------------------

void Sender::submit(const Address& receiver, PutSpec spec,
                    std::shared_ptr<detail::PutState> state) {
  const RequestKey key = key_of(spec);
  auto found = find_or_begin(receiver, spec);
  if (!found.ok()) {
    refuse(env_.scheduler, std::move(spec), std::move(state), found.status());
    return;
  }
  Request& request = **found;
  env_.scheduler.cancel(std::exchange(request.timer, kNoTimer));
  if (spec.is_last) {
    request.phase = Request::Phase::kSealed;
  }
  if (spec.total_chunks == 0) {
    spec.total_chunks = request.total_chunks;  // A restarted receiver doesn't know of the opening.
  }
  const std::uint64_t id = next_put_id_++;
  auto put = std::make_unique<PutTask>(env_.scheduler, digests_, config_, faults_,
                                       static_cast<PutTask::Owner&>(*this), *request.link, id,
                                       std::move(spec), std::move(state));
  PutTask& started = *put;
  request.puts.push_back(put.get());
  puts_.emplace(id, std::move(put));
  started.start();
}

StatusOr<Sender::Request*> Sender::find_or_begin(const Address& receiver, const PutSpec& spec) {
  if (closing_) {
    return absl::CancelledError(std::string("the backend is closed"));
  }
  if (const auto failed = failed_.find(key_of(spec)); failed != failed_.end()) {
    return failed_before(failed->first, failed->second);
  }
  const auto [found, begun] = requests_.try_emplace(key_of(spec));
  Request& request = found->second;
  if (begun) {
    request.link = &link_to(receiver);
    request.proxy_incarnation = notifier_->incarnation();
    return &request;
  }
  if (!request.failure.ok()) {
    return Status(request.failure.code(), fmt::format("request {} failed before: {}", spec.req_id,
                                                      std::string(request.failure.message())));
  }
  if (request.phase != Request::Phase::kOpen) {
    return absl::FailedPreconditionError(fmt::format(
        "request {} takes no put now: it {}", spec.req_id,
        request.phase < Request::Phase::kOpen ? "is not admitted yet" : "has had its last put"));
  }
  if (request.link->address() != receiver) {
    return absl::InvalidArgumentError(
        fmt::format("request {} goes to receiver {}, not to {}", spec.req_id,
                    request.link->address().init_endpoint, receiver.init_endpoint));
  }
  return &request;
}

bool Sender::may_allocate(const PutTask& put) const {
  // The last put seals the request at the receiver: it must not overtake an earlier one.
  const Request& request = requests_.at(key_of(put.spec()));
  return !put.spec().is_last ||
         std::none_of(request.puts.begin(), request.puts.end(), [&](const PutTask* other) {
           return other != &put && (other->state() <= PutTask::State::kAllocating ||
                                    other->state() == PutTask::State::kRestarting);
         });
}

void Sender::on_put_allocating(PutTask& put) {
  requests_.at(key_of(put.spec())).opened_at = put.link().welcome().epoch;
}

void Sender::on_put_allocated(PutTask& put) {
  const auto found = requests_.find(key_of(put.spec()));
  if (found == requests_.end()) {
    return;
  }
  found->second.known_at = found->second.opened_at;
  for (PutTask* other : std::vector<PutTask*>(found->second.puts)) {
    other->nudge();
  }
}

void Sender::on_put_settled(PutTask& put) {
  const RequestKey key = key_of(put.spec());
  if (!put.spec().is_last) {
    put.complete();
  }
  advance(key);
}

void Sender::on_put_failed(PutTask& put, const Status& why) {
  fail_request(key_of(put.spec()), why);
}

void Sender::on_put_ended(PutTask& put) {
  const RequestKey key = key_of(put.spec());
  if (const auto request = requests_.find(key); request != requests_.end()) {
    std::erase(request->second.puts, &put);
    request->second.has_completed = true;
  }
  // It is still on the stack.
  env_.scheduler.post(lifetime_.guard([this, id = put.id(), key] {
    puts_.erase(id);
    advance(key);
    tell_if_idle();
  }));
}

void Sender::advance(const RequestKey& key) {
  const auto found = requests_.find(key);
  if (found == requests_.end()) {
    return;
  }
  Request& request = found->second;
  const bool quiet = request.puts.empty();
  if (!request.failure.ok() || request.phase == Request::Phase::kNotifying) {
    if (quiet) {
      env_.scheduler.cancel(request.timer);
      request.link->end_stock_request(key.req_id, request.failure);
      requests_.erase(found);
    }
    return;
  }
  if (request.phase == Request::Phase::kSealed) {
    const bool settled =
        std::all_of(request.puts.begin(), request.puts.end(),
                    [](const PutTask* put) { return put->state() == PutTask::State::kSettled; });
    if (settled) {
      notify(key, request);
    }
    return;
  }
  if (request.phase == Request::Phase::kOpen && quiet) {
    if (request.abandoned) {
      release(key);
    } else {
      restart_idle_timer(key, request);
    }
  }
}

void Sender::notify(const RequestKey& key, Request& request) {
  request.phase = Request::Phase::kNotifying;
  // Its last put is what is left: the others completed when they settled.
  const TimePoint deadline = request.puts.front()->deadline();
  wire::ProxyNotif word{key.req_id, {}};
  if (config_.proxy_kind == ProxyKind::kBaton) {
    word.baton = wire::ProxyNotif::Baton{config_.epoch, key.attempt, config_.layout.worker_id};
  }
  request.notice = notifier_->notify(
      word, request.proxy_incarnation, deadline,
      lifetime_.guard([this, key](const Status& status) { on_notified(key, status); }));
}

void Sender::on_notified(const RequestKey& key, const Status& status) {
  const auto found = requests_.find(key);
  if (found == requests_.end() || !found->second.failure.ok()) {
    return;
  }
  if (!status.ok()) {
    fail_request(key, status);
    return;
  }
  log::debug("[{}] every chunk is committed, the proxy is told", key.req_id);
  for (PutTask* put : std::vector<PutTask*>(found->second.puts)) {
    put->complete();
  }
}

void Sender::restart_idle_timer(const RequestKey& key, Request& request) {
  env_.scheduler.cancel(request.timer);
  request.timer =
      env_.scheduler.run_after(config_.request_idle_timeout, lifetime_.guard([this, key] {
        fail_request(
            key, absl::DeadlineExceededError(fmt::format(
                     "request {} had no put under way for {} s and its last put never "
                     "came (pd_request_idle_timeout_ms)",
                     key.req_id,
                     std::chrono::duration_cast<std::chrono::seconds>(config_.request_idle_timeout)
                         .count())));
      }));
}

}  // namespace baton::sender
