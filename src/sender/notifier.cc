#include "src/sender/notifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/wire/codec.h"

namespace baton::sender {

StatusOr<std::unique_ptr<Notifier>> Notifier::create(Scheduler& scheduler,
                                                     control::Network& network,
                                                     const std::string& endpoint) {
  std::unique_ptr<Notifier> notifier(new Notifier(scheduler, endpoint));
  if (!endpoint.empty()) {
    auto push = network.connect_push(endpoint);
    if (!push.ok()) {
      return push.status();
    }
    notifier->push_ = *std::move(push);
    notifier->push_->set_writable(
        notifier->lifetime_.guard([raw = notifier.get()] { raw->on_writable(); }));
  }
  return notifier;
}

Status Notifier::try_send(const std::string& req_id, std::uint64_t incarnation) {
  if (push_ == nullptr) {
    return absl::OkStatus();
  }
  if (push_->incarnation() != incarnation) {
    return absl::AbortedError(
        fmt::format("the proxy at {} was lost after request {} began; its successor is not told",
                    endpoint_, req_id));
  }
  return push_->send(wire::encode(wire::ProxyNotif{req_id}));
}

Notifier::NoticeId Notifier::notify(std::string req_id, std::uint64_t incarnation,
                                    TimePoint deadline, Done done) {
  const NoticeId id = ++last_id_;
  const Status sent = try_send(req_id, incarnation);
  if (!absl::IsUnavailable(sent)) {
    done(sent);
    return id;
  }
  const auto added = waiting_.insert(
      waiting_.end(), {id, std::move(req_id), incarnation, kNoTimer, std::move(done)});
  added->timer = scheduler_.run_at(deadline, lifetime_.guard([this, added] {
    Waiting late = std::move(*added);
    waiting_.erase(added);
    late.done(absl::UnavailableError(
        fmt::format("no proxy was there at {} to be told of request {}", endpoint_, late.req_id)));
  }));
  return id;
}

void Notifier::on_writable() {
  std::list<Waiting> retry;
  retry.swap(waiting_);
  while (!retry.empty()) {
    const Status sent = try_send(retry.front().req_id, retry.front().incarnation);
    if (absl::IsUnavailable(sent)) {
      waiting_.splice(waiting_.end(), retry, retry.begin());
      continue;
    }
    Waiting ended = std::move(retry.front());
    retry.pop_front();
    scheduler_.cancel(ended.timer);
    ended.done(sent);
  }
}

void Notifier::forget(NoticeId notice) {
  waiting_.remove_if([&](Waiting& waiting) {
    if (waiting.id != notice) {
      return false;
    }
    scheduler_.cancel(waiting.timer);
    return true;
  });
}

}  // namespace baton::sender
