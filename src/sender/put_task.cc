#include "src/sender/put_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "src/base/log.h"
#include "src/sender/milliseconds.h"

namespace baton::sender {
namespace {

/// With the put's keys, which are only lent to it: there may be thousands.
Status send_request(PeerLink& link, wire::AllocRequest request, wire::KeyList& keys) {
  request.keys = std::move(keys);
  wire::Message message = std::move(request);
  Status sent = link.send(message);
  keys = std::move(std::get<wire::AllocRequest>(message).keys);
  return sent;
}

}  // namespace

PutTask::PutTask(Scheduler& scheduler, DigestQueue& digests, const Config& config,
                 FaultHooks& faults, Owner& owner, PeerLink& link, std::uint64_t id, PutSpec spec,
                 std::shared_ptr<detail::PutState> state)
    : scheduler_(scheduler),
      digests_(digests),
      config_(config),
      faults_(faults),
      owner_(owner),
      link_(link),
      id_(id),
      spec_(std::move(spec)),
      handle_(std::move(state)),
      submitted_(scheduler.now()),
      deadline_(submitted_ + spec_.timeout),
      resend_(scheduler) {
  stats_.chunks_total = static_cast<std::uint32_t>(spec_.keys.size());
}

PutTask::~PutTask() {
  scheduler_.cancel(deadline_timer_);
  scheduler_.cancel(drain_timer_);
}

void PutTask::start() {
  deadline_timer_ = scheduler_.run_at(deadline_, lifetime_.guard([this] {
    deadline_timer_ = kNoTimer;
    fail(absl::DeadlineExceededError(
        fmt::format("put {} of request {} did not end within {} ms (pd_put_timeout_ms)", id_,
                    spec_.req_id, to_ms(spec_.timeout))));
  }));
  begin();
}

// ---- connecting → allocating -------------------------------------------------------------------

void PutTask::begin() {
  state_ = State::kConnecting;
  held_back_ = false;
  link_.ensure(lifetime_.guard([this](const Status& status) { on_ready(status); }));
}

void PutTask::on_ready(const Status& status) {
  if (state_ != State::kConnecting) {
    return;
  }
  if (!status.ok()) {
    fail(link_down_.ok() ? status
                         : absl::UnavailableError(fmt::format("{}; and it did not come back: {}",
                                                              std::string(link_down_.message()),
                                                              std::string(status.message()))));
    return;
  }
  if (parties_ == link_.parties()) {
    fail(link_down_);  // The same incarnation: it has ended this attempt with the connection.
    return;
  }
  if (spec_.keys.size() > link_.welcome().max_keys) {
    fail(absl::InvalidArgumentError(
        fmt::format("put {} has {} keys, the receiver takes {} at a time", id_, spec_.keys.size(),
                    link_.welcome().max_keys)));
    return;
  }
  if (owner_.may_allocate(*this)) {
    allocate();
  } else {
    held_back_ = true;
  }
}

void PutTask::nudge() {
  if (state_ == State::kConnecting && held_back_) {
    held_back_ = false;
    begin();
  }
}

void PutTask::allocate() {
  parties_ = link_.parties();
  session_ = link_.session();
  if (Status found = find_places(); !found.ok()) {
    fail(found);
  } else if (!fill_places()) {
    ask();
  }
}

void PutTask::ask() {
  eager_ = places_.empty() && may_be_eager();
  news_.assign(spec_.keys.size(), {});
  awaited_ = spec_.keys.size();
  state_ = State::kAllocating;
  owner_.on_put_allocating(*this);
  if (link_.is_stock()) {
    ask_stock();
    return;
  }
  if (Status sent = send_request(link_, alloc_request(), spec_.keys); !sent.ok()) {
    fail(sent);
  } else {
    if (link_.may_repeat()) {
      resend_.start([this] { repeat(); });
    }
    link_.refill_ahead();  // Behind the put that may have used some up.
  }
}

/// Without the keys.
wire::AllocRequest PutTask::alloc_request() const {
  wire::AllocRequest request;
  request.fmt = config_.layout.fmt;
  request.shape = config_.layout.shape;
  request.dtype = config_.layout.dtype;
  request.last_chunk_toks = spec_.last_chunk_toks;
  request.async = {spec_.req_id, spec_.is_last, spec_.total_chunks};
  request.baton = {*parties_, spec_.attempt, id_};
  if (eager_) {
    request.eager = eager_part();
  }
  request.ahead = ahead_part();
  return request;
}

void PutTask::repeat() {
  Status sent;
  if (state_ == State::kAllocating || state_ == State::kAwaiting) {
    sent = send_request(link_, alloc_request(), spec_.keys);
  }
  for (std::uint32_t number = 0; sent.ok() && number < slices_.size(); ++number) {
    if (state_ < State::kSettled && slices_[number].sent && !slices_[number].acknowledged) {
      sent = link_.send(commit_request(number));
    }
  }
  if (!sent.ok()) {
    log::debug("put {} could not ask again: {}", id_, std::string(sent.message()));
  }
}

// ---- allocating → writing ----------------------------------------------------------------------

void PutTask::on_response(const wire::AllocResponse& response) {
  if (state_ < State::kAllocating || (state_ > State::kAwaiting && state_ != State::kDraining)) {
    return;
  }
  Status taken = check_response(response);
  const wire::AllocResponse::Baton& said = *response.baton;
  for (std::uint32_t i = 0; taken.ok() && i < said.states.size(); ++i) {
    taken = take_news(i, said.states[i], static_cast<std::uint32_t>(response.remote_indexes[i]),
                      said.generations[i]);
  }
  const bool first = taken.ok() && state_ == State::kAllocating;
  if (first) {
    state_ = State::kWriting;
  }
  on_news(taken);
  if (first) {
    owner_.on_put_allocated(*this);
  }
}

Status PutTask::check_response(const wire::AllocResponse& response) const {
  const wire::AllocResponse::Baton& said = *response.baton;
  if (said.code != 0) {
    return Status(static_cast<StatusCode>(said.code), said.message);
  }
  const std::size_t count = spec_.keys.size();
  if (said.states.size() != count || said.generations.size() != count ||
      response.remote_indexes.size() != count) {
    return absl::DataLossError(fmt::format(
        "the receiver answered {} keys with {} states, {} generations and {} pages", count,
        said.states.size(), said.generations.size(), response.remote_indexes.size()));
  }
  return absl::OkStatus();
}

void PutTask::on_update(const wire::ChunkUpdate& update) {
  if (state_ < State::kWriting || (state_ > State::kAwaiting && state_ != State::kDraining)) {
    return;
  }
  Status taken;
  for (std::size_t i = 0; taken.ok() && i < update.key_indexes.size(); ++i) {
    taken =
        take_news(update.key_indexes[i], update.states[i], update.pages[i], update.generations[i]);
  }
  on_news(taken);
}

Status PutTask::take_news(std::uint32_t index, wire::KeyState state, std::uint32_t page,
                          std::uint64_t generation) {
  if (index >= news_.size()) {
    return absl::DataLossError(
        fmt::format("the receiver sent news of key {}, put {} has {}", index, id_, news_.size()));
  }
  if (state == wire::KeyState::kInFlight) {
    return absl::OkStatus();
  }
  News& known = news_[index];
  if (state == wire::KeyState::kPlaced && known.awaited) {
    if (Status placed = take_placed(index); !placed.ok()) {
      return placed;
    }
  }
  if (state == wire::KeyState::kGranted) {
    if (known.grant.has_value() && grants_[*known.grant].page == page &&
        grants_[*known.grant].generation == generation) {
      return absl::OkStatus();  // Said again.
    }
    if (!known.awaited || page >= link_.welcome().page_count) {
      return absl::DataLossError(fmt::format(
          "the receiver granted page {} of {} for key {}, which {}", page,
          link_.welcome().page_count, index, known.awaited ? "is awaited" : "is settled already"));
    }
    known.grant = grants_.size();
    const bool is_there = !places_.empty() && places_[index].has_value() &&
                          places_[index]->page == AheadStock::Page{page, generation};
    grants_.push_back({index, page, generation, false, is_there});
    bytes_left_ += bytes_of(grants_.back()).size();
  }
  if (std::exchange(known.awaited, false)) {
    --awaited_;
  }
  return absl::OkStatus();
}

void PutTask::on_news(const Status& taken) {
  if (state_ == State::kDraining) {
    return;  // New grants go back with the others.
  }
  if (!taken.ok()) {
    fail(taken);
    return;
  }
  if (next_grant_ < grants_.size()) {
    state_ = State::kWriting;  // At first, or because another's writer failed: it takes over.
    pump();
  }
  update_state();
}

}  // namespace baton::sender
