#include "src/sender/notifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/log.h"
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

Status Notifier::try_send(const Waiting& notice) {
  if (push_ == nullptr) {
    return absl::OkStatus();
  }
  if (push_->incarnation() != notice.incarnation) {
    return absl::AbortedError(
        fmt::format("the proxy at {} was lost after request {} began; its successor is not told",
                    endpoint_, notice.req_id));
  }
  return push_->send(notice.bytes);
}

Notifier::NoticeId Notifier::notify(const wire::ProxyNotif& word, std::uint64_t incarnation,
                                    TimePoint deadline, Done done) {
  return tell(word.req_id, wire::encode(word), incarnation, deadline, std::move(done));
}

void Notifier::tell_failure(const wire::FailNotif& word, std::uint64_t incarnation,
                            TimePoint deadline) {
  if (waiting_failures_ >= kMaxWaitingFailures) {
    const auto oldest = std::find_if(waiting_.begin(), waiting_.end(),
                                     [](const Waiting& waiting) { return !waiting.done; });
    // They are counted, so there is one.
    finish(waiting_, oldest, absl::ResourceExhaustedError(std::string("too many wait")));
  }
  tell(word.req_id, wire::encode(word), incarnation, deadline, nullptr);
}

Notifier::NoticeId Notifier::tell(std::string req_id, std::string bytes, std::uint64_t incarnation,
                                  TimePoint deadline, Done done) {
  std::list<Waiting> notice;
  notice.push_back(
      {++last_id_, std::move(req_id), std::move(bytes), incarnation, kNoTimer, std::move(done)});
  const auto added = notice.begin();
  const NoticeId id = added->id;
  waiting_failures_ += added->done ? 0 : 1;
  const Status sent = try_send(*added);
  if (!absl::IsUnavailable(sent)) {
    finish(notice, added, sent);
    return id;
  }
  waiting_.splice(waiting_.end(), notice);
  added->timer = scheduler_.run_at(deadline, lifetime_.guard([this, added] {
    finish(waiting_, added,
           absl::UnavailableError(fmt::format("no proxy was there at {} to be told of request {}",
                                              endpoint_, added->req_id)));
  }));
  return id;
}

void Notifier::finish(std::list<Waiting>& from, std::list<Waiting>::iterator notice,
                      const Status& status) {
  Waiting ended = std::move(*notice);
  from.erase(notice);
  scheduler_.cancel(ended.timer);
  if (ended.done) {
    ended.done(status);
    return;
  }
  --waiting_failures_;
  if (!status.ok()) {
    log::limited_warning("[{}] the proxy was not told of the failure: {}", ended.req_id,
                         std::string(status.message()));
  }
}

void Notifier::on_writable() {
  // Whoever hears of the end may tell more, or forget others: the list is looked at anew each time.
  const NoticeId last = last_id_;
  NoticeId tried = 0;
  for (;;) {
    const auto next = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& waiting) {
      return waiting.id > tried && waiting.id <= last;
    });
    if (next == waiting_.end()) {
      return;
    }
    tried = next->id;
    if (const Status sent = try_send(*next); !absl::IsUnavailable(sent)) {
      finish(waiting_, next, sent);
    }
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
