#include "src/transport/nixl/transfers.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "src/transport/post_done.h"

namespace baton::transport::nixl {
namespace {

/// A pulse that only listens: it gives up when nothing was heard for `limit`.
TcpOptions only_listening(Duration limit) {
  TcpOptions options;
  options.heartbeat_interval = limit / 5;
  options.silence_limit = limit;
  return options;
}

/// As on the ucx plane: the loop waits no longer for a peer that stands still.
constexpr std::chrono::milliseconds kMaxCloseTime{50};

StatusOr<std::unique_ptr<Request>> request_for(const Agent& agent, const Batch& batch) {
  if (!batch.local_pages.empty()) {
    return agent.page_request(batch.direction, batch.local_pages, batch.remote_pages);
  }
  return agent.request(batch.direction, merge_adjacent(batch.ranges));
}

/// Only the last part of a batch answers for it.
void add_if_answerable(std::vector<Batch>& batches, Batch batch) {
  if (batch.done) {
    batches.push_back(std::move(batch));
  }
}

}  // namespace

Transfers::Transfers(Reactor& reactor, const NixlOptions& options, const Agent& agent,
                     Failed failed)
    : reactor_(reactor),
      options_(options),
      agent_(agent),
      failed_(std::move(failed)),
      stall_options_(only_listening(options.stall_limit)),
      pacer_(reactor,
             {.spin = options.spin, .min_pause = options.min_pause, .max_pause = options.max_pause},
             [this] { return ask(); }) {}

void Transfers::add(Batch batch) {
  if (!batch.verdict.ok()) {
    batch.ranges.clear();
  }
  for (Batch& part : split(std::move(batch), options_.part_bytes)) {
    waiting_.push_back(std::move(part));
  }
  if (broken_) {
    return;  // Until the owner has heard of it, and abandons all.
  }
  if (Status posted = post_some(); !posted.ok()) {
    fail_later(posted);
    return;
  }
  watch_for_stalls();
  pacer_.start();
}

Status Transfers::post_some() {
  while (!waiting_.empty() && posted_.size() < options_.max_posted &&
         (posted_.empty() || posted_bytes_ + bytes_of(waiting_.front()) <= options_.posted_bytes)) {
    posted_bytes_ += bytes_of(waiting_.front());
    posted_.push_back({.batch = std::move(waiting_.front()), .request = nullptr});
    waiting_.pop_front();
    Posted& newest = posted_.back();
    if (newest.batch.ranges.empty()) {
      newest.complete = true;
      continue;
    }
    auto request = request_for(agent_, newest.batch);
    if (!request.ok()) {
      return request.status();
    }
    newest.request = *std::move(request);
    const auto complete = newest.request->post();
    if (!complete.ok()) {
      return complete.status();
    }
    newest.complete = *complete;
  }
  return absl::OkStatus();
}

/// True if a request has ended. Asking also lets in what the peer has notified: it is dropped then,
/// and at each beat of the stall's pulse. One at most: others want turns, too. Asking after the
/// oldest moves all of them.
StatusOr<bool> Transfers::advance() {
  if (posted_.empty()) {
    return false;
  }
  Posted& oldest = posted_.front();
  if (!oldest.complete) {
    const auto complete = oldest.request->poll();
    if (!complete.ok()) {
      return complete.status();
    }
    oldest.complete = *complete;
  }
  if (!oldest.complete) {
    return false;
  }
  posted_bytes_ -= bytes_of(oldest.batch);
  if (oldest.batch.done) {
    post_done(reactor_, std::move(oldest.batch.done), std::move(oldest.batch.verdict));
  }
  posted_.pop_front();
  if (Status fine = agent_.drop_notifications(); !fine.ok()) {
    return fine;
  }
  if (Status posted = post_some(); !posted.ok()) {
    return posted;
  }
  return true;
}

Pacer::Answer Transfers::ask() {
  if (broken_) {
    return Pacer::Answer::kIdle;
  }
  const auto moved = advance();
  if (!moved.ok()) {
    fail_later(moved.status());
    return Pacer::Answer::kIdle;
  }
  if (*moved && stall_) {
    stall_->heard();
  }
  watch_for_stalls();
  if (posted_.empty()) {
    return Pacer::Answer::kIdle;
  }
  return *moved ? Pacer::Answer::kMoved : Pacer::Answer::kWaiting;
}

void Transfers::watch_for_stalls() {
  if (posted_.empty()) {
    stall_.reset();
  } else if (!stall_) {
    stall_.emplace(
        reactor_, stall_options_,
        tcp::Pulse::Actions{
            .beat =
                [this] {
                  if (Status fine = agent_.drop_notifications(); !fine.ok()) {
                    fail_later(fine);
                  }
                },
            .give_up =
                [this](const Status& /*why*/) {
                  fail_later(absl::UnavailableError(fmt::format(
                      "no transfer of the peer's has ended for {} ms",
                      std::chrono::duration_cast<std::chrono::milliseconds>(options_.stall_limit)
                          .count())));
                }});
  }
}

void Transfers::fail_later(const Status& why) {
  if (!std::exchange(broken_, true)) {
    reactor_.post(lifetime_.guard([this, why] { failed_(why); }));
  }
}

/// What NIXL has, it gets a little time for: a peer whose process answers reads may go down with a
/// reader that ends in the middle of one (docs/interop.md). Its outcome no longer matters.
void Transfers::let_posted_end() {
  const TimePoint limit = reactor_.now() + kMaxCloseTime;
  for (Posted& posted : posted_) {
    while (!broken_ && !posted.complete && reactor_.now() < limit) {
      const auto complete = posted.request->poll();
      broken_ = !complete.ok();
      posted.complete = complete.ok() && *complete;
    }
  }
}

std::vector<Batch> Transfers::abandon() {
  let_posted_end();
  broken_ = true;
  stall_.reset();
  std::vector<Batch> left;
  for (Posted& posted : std::exchange(posted_, {})) {
    add_if_answerable(left, std::move(posted.batch));
  }
  for (Batch& batch : std::exchange(waiting_, {})) {
    add_if_answerable(left, std::move(batch));
  }
  return left;
}

}  // namespace baton::transport::nixl
