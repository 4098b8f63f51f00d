#include "src/sender/put_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/log.h"

namespace baton::sender {
namespace {

/// A slice is committed as a whole while the next ones are written: large enough that a commit's
/// round trip is small beside its copying time, small enough that verifying overlaps with writing.
constexpr std::size_t kSliceBytes = std::size_t{4} << 20U;
constexpr std::size_t kSliceChunks = 256;
/// Slices that are written or digested at a time.
constexpr std::size_t kMaxBusySlices = 2;

std::int64_t to_ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
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
  news_.assign(spec_.keys.size(), {});
  awaited_ = spec_.keys.size();
  state_ = State::kAllocating;
  owner_.on_put_allocating(*this);
  if (Status sent = link_.send(alloc_request()); !sent.ok()) {
    fail(sent);
  } else if (link_.may_repeat()) {
    resend_.start([this] { repeat(); });
  }
}

wire::AllocRequest PutTask::alloc_request() const {
  wire::AllocRequest request;
  request.keys = spec_.keys;
  request.fmt = config_.layout.fmt;
  request.shape = config_.layout.shape;
  request.dtype = config_.layout.dtype;
  request.last_chunk_toks = spec_.last_chunk_toks;
  request.async = {spec_.req_id, spec_.is_last, spec_.total_chunks};
  request.baton = {*parties_, spec_.attempt, id_};
  return request;
}

void PutTask::repeat() {
  Status sent;
  if (state_ == State::kAllocating || state_ == State::kAwaiting) {
    sent = link_.send(alloc_request());
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
    grants_.push_back({index, page, generation});
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

// ---- writing -----------------------------------------------------------------------------------

std::span<const std::byte> PutTask::bytes_of(const Grant& grant) const {
  return spec_.objects[grant.key_index].bytes();
}

void PutTask::pump() {
  while (state_ == State::kWriting && next_grant_ < grants_.size() &&
         slices_busy_ < kMaxBusySlices) {
    std::vector<std::size_t> members;
    std::size_t bytes = 0;
    while (next_grant_ < grants_.size() && members.size() < kSliceChunks &&
           (members.empty() || bytes + bytes_of(grants_[next_grant_]).size() <= kSliceBytes)) {
      bytes += bytes_of(grants_[next_grant_]).size();
      members.push_back(next_grant_++);
    }
    start_slice(std::move(members));
  }
}

void PutTask::start_slice(std::vector<std::size_t> members) {
  const auto number = static_cast<std::uint32_t>(slices_.size());
  Slice& slice = slices_.emplace_back();
  slice.grants = std::move(members);
  slice.steps_left = 1;
  ++slices_busy_;
  ++slices_open_;

  std::vector<transport::WriteOp> ops;
  for (const std::size_t index : slice.grants) {
    const Grant& grant = grants_[index];
    stats_.bytes_written += bytes_of(grant).size();
    if (faults_.drop_write && faults_.drop_write(spec_.keys[grant.key_index])) {
      continue;
    }
    ops.push_back({bytes_of(grant), grant.page, grant.generation, 0});
  }
  link_.transport().write_batch(link_.welcome().epoch, std::move(ops),
                                lifetime_.guard([this, number](const Status& status) {
                                  slices_[number].write_status = status;
                                  on_slice_step(number);
                                }));
  if (!link_.welcome().digests) {
    return;
  }
  slice.digests.resize(slice.grants.size());
  slice.steps_left += slice.grants.size();
  for (std::size_t i = 0; i < slice.grants.size(); ++i) {
    digests_.add(bytes_of(grants_[slice.grants[i]]),
                 lifetime_.guard([this, number, i](std::uint64_t digest) {
                   slices_[number].digests[i] = digest;
                   on_slice_step(number);
                 }));
  }
}

void PutTask::on_slice_step(std::uint32_t number) {
  Slice& slice = slices_[number];
  if (--slice.steps_left > 0) {
    return;
  }
  --slices_busy_;
  if (state_ == State::kDraining || state_ == State::kRestarting) {
    if (!slice.write_status.ok() && !absl::IsInvalidArgument(slice.write_status)) {
      // What the network still has of it may land yet: only the receiver's fence ends that, and
      // no drain may say otherwise.
      link_.reset_session(session_, Status(slice.write_status));
    }
    on_slices_idle();
    return;
  }
  if (absl::IsInvalidArgument(slice.write_status)) {
    fail(slice.write_status);
    return;
  }
  if (!slice.write_status.ok()) {
    // Its connection is gone, and the news of that is under way: the request decides what next.
    link_.reset_session(session_, Status(slice.write_status));
    return;
  }
  commit_slice(number);
  pump();
  update_state();
}

void PutTask::commit_slice(std::uint32_t number) {
  slices_[number].sent = true;
  if (Status sent = link_.send(commit_request(number)); !sent.ok()) {
    fail(sent);
  }
}

wire::CommitRequest PutTask::commit_request(std::uint32_t number) const {
  wire::CommitRequest request;
  request.parties = *parties_;
  request.put_id = id_;
  request.slice = number;
  for (const std::size_t index : slices_[number].grants) {
    request.pages.push_back(grants_[index].page);
    request.generations.push_back(grants_[index].generation);
  }
  request.digests = slices_[number].digests;
  return request;
}

// ---- committing → awaiting → settled -----------------------------------------------------------

void PutTask::on_response(const wire::CommitResponse& response) {
  if (state_ != State::kWriting && state_ != State::kCommitting) {
    return;
  }
  if (response.slice >= slices_.size() || !slices_[response.slice].sent) {
    fail(absl::DataLossError(
        fmt::format("the receiver acknowledged slice {}, which was not sent", response.slice)));
    return;
  }
  if (response.code != 0) {
    fail(Status(static_cast<StatusCode>(response.code),
                fmt::format("commit refused: {}", response.message)));
    return;
  }
  Slice& slice = slices_[response.slice];
  if (std::exchange(slice.acknowledged, true)) {
    return;  // Said again.
  }
  for (const std::size_t index : slice.grants) {
    grants_[index].committed = true;
  }
  stats_.chunks_sent += static_cast<std::uint32_t>(slice.grants.size());
  --slices_open_;
  update_state();
}

void PutTask::update_state() {
  if (state_ != State::kWriting && state_ != State::kCommitting && state_ != State::kAwaiting) {
    return;
  }
  if (next_grant_ < grants_.size() || slices_busy_ > 0) {
    state_ = State::kWriting;
  } else if (slices_open_ > 0) {
    state_ = State::kCommitting;
  } else if (awaited_ > 0) {
    state_ = State::kAwaiting;
  } else {
    state_ = State::kSettled;
    resend_.stop();
    stats_.chunks_skipped = stats_.chunks_total - stats_.chunks_sent;
    owner_.on_put_settled(*this);
  }
}

void PutTask::complete() {
  if (state_ == State::kSettled) {
    end(absl::OkStatus());
  }
}

// ---- draining → failed -------------------------------------------------------------------------

void PutTask::fail(const Status& why) {
  if (state_ == State::kDraining || state_ == State::kEnded) {
    return;
  }
  state_ = State::kDraining;
  failure_ = why;
  resend_.stop();
  scheduler_.cancel(std::exchange(deadline_timer_, kNoTimer));
  owner_.on_put_failed(*this, why);
  if (slices_busy_ == 0) {
    on_slices_idle();
    return;
  }
  drain_timer_ = scheduler_.run_after(config_.drain_timeout, lifetime_.guard([this] {
    drain_timer_ = kNoTimer;
    // A write can't be cancelled alone; cutting the connection ends it, and the others' too.
    log::warning("[{}] put {} is not drained after {} ms: the connection to {} is cut",
                 spec_.req_id, id_, to_ms(config_.drain_timeout), link_.address().init_endpoint);
    link_.reset_session(session_,
                        absl::UnavailableError(std::string("cut to drain a put that failed")));
  }));
}

void PutTask::restart(const Status& why) {
  if (state_ >= State::kRestarting) {
    return;
  }
  if (state_ == State::kConnecting) {
    nudge();  // Otherwise it waits for the link already.
    return;
  }
  state_ = State::kRestarting;
  link_down_ = why;
  resend_.stop();
  on_slices_idle();
}

void PutTask::on_slices_idle() {
  if (slices_busy_ > 0) {
    return;
  }
  if (state_ == State::kDraining) {
    finish_drain();
    return;
  }
  // What the former incarnation granted is gone with it.
  grants_.clear();
  next_grant_ = 0;
  slices_.clear();
  slices_open_ = 0;
  stats_.chunks_sent = 0;
  stats_.bytes_written = 0;
  ++stats_.restarts;
  begin();
}

void PutTask::finish_drain() {
  wire::DrainNotif drained;
  drained.put_id = id_;
  for (const Grant& grant : grants_) {
    if (!grant.committed) {
      drained.pages.push_back(grant.page);
      drained.generations.push_back(grant.generation);
    }
  }
  if (!drained.pages.empty()) {
    drained.parties = *parties_;  // Another incarnation of the receiver refuses them.
    link_.send_drain(std::move(drained));
  }
  end(failure_);
}

void PutTask::end(const Status& status) {
  state_ = State::kEnded;
  scheduler_.cancel(std::exchange(deadline_timer_, kNoTimer));
  scheduler_.cancel(std::exchange(drain_timer_, kNoTimer));
  stats_.duration = scheduler_.now() - submitted_;
  spec_.objects.clear();  // The references go back before anybody is told.
  scheduler_.post([handle = handle_, stats = stats_, status, keys = std::move(spec_.keys),
                   on_key_done = std::move(spec_.on_key_done)]() mutable {
    if (on_key_done) {
      for (const std::string& key : keys) {
        on_key_done(key, status);
      }
    }
    on_key_done = nullptr;  // What it holds is free when the handle says so.
    handle->finish(status, stats);
  });
  owner_.on_put_ended(*this);
}

}  // namespace baton::sender
