#include "src/sender/read_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "src/base/log.h"
#include "src/sender/milliseconds.h"

namespace baton::sender {
namespace {

/// As a put's: long enough that a batch costs little, short enough that verifying overlaps with
/// reading.
constexpr std::size_t kSliceBytes = std::size_t{4} << 20U;
constexpr std::size_t kSliceChunks = 256;
/// Slices that are read or digested at a time.
constexpr std::size_t kMaxBusySlices = 2;

}  // namespace

ReadTask::ReadTask(Scheduler& scheduler, DigestQueue& digests, const Config& config, Owner& owner,
                   PeerLink& link, std::uint64_t id, ReadSpec spec,
                   std::shared_ptr<detail::ReadState> state)
    : scheduler_(scheduler),
      digests_(digests),
      config_(config),
      owner_(owner),
      link_(link),
      id_(id),
      spec_(std::move(spec)),
      handle_(std::move(state)),
      submitted_(scheduler.now()),
      deadline_(submitted_ + spec_.timeout),
      resend_(scheduler),
      statuses_(spec_.keys.size()) {}

ReadTask::~ReadTask() {
  scheduler_.cancel(deadline_timer_);
  scheduler_.cancel(drain_timer_);
}

// ---- connecting → requesting -------------------------------------------------------------------

void ReadTask::start() {
  deadline_timer_ = scheduler_.run_at(deadline_, lifetime_.guard([this] {
    deadline_timer_ = kNoTimer;
    const std::string why = query_ == nullptr ? std::string() : query_->trouble();
    fail(absl::DeadlineExceededError(
        fmt::format("read {} of {} chunks did not end within {} ms (pd_read_timeout_ms){}{}", id_,
                    spec_.keys.size(), to_ms(spec_.timeout), why.empty() ? "" : ": ", why)));
  }));
  link_.ensure(lifetime_.guard([this](const Status& status) { on_ready(status); }));
}

void ReadTask::on_ready(const Status& status) {
  if (state_ != State::kConnecting) {
    return;
  }
  const wire::Welcome& welcome = link_.welcome();
  Status fine = status;
  if (fine.ok() && !link_.is_stock() && !has_reads(welcome.version)) {
    fine = absl::FailedPreconditionError(fmt::format(
        "receiver {} and this process speak version {} of the protocol with each other; "
        "reads need 3 (pd_protocol_max)",
        link_.address().init_endpoint, welcome.version));
  }
  if (fine.ok() && spec_.keys.size() > welcome.max_keys) {
    fine = absl::InvalidArgumentError(
        fmt::format("read {} has {} keys, the receiver takes {} at a time", id_, spec_.keys.size(),
                    welcome.max_keys));
  }
  if (!fine.ok()) {
    fail(fine);
    return;
  }
  if (link_.is_stock()) {
    ask_stock();
    return;
  }
  state_ = State::kRequesting;
  session_ = link_.session();
  if (Status sent = link_.send(request()); !sent.ok()) {
    fail(sent);
    return;
  }
  resend_.start([this] {
    // If it can't be sent now, the next time may be better.
    static_cast<void>(link_.send(request()));
  });
}

wire::ReadRequest ReadTask::request() const {
  return {link_.parties(), id_, spec_.keys,
          static_cast<std::uint32_t>(std::clamp<std::int64_t>(
              to_ms(deadline_ - scheduler_.now()), 1, std::numeric_limits<std::uint32_t>::max()))};
}

// ---- requesting → reading ----------------------------------------------------------------------

void ReadTask::on_response(const wire::ReadResponse& response) {
  if (state_ != State::kRequesting) {
    return;  // Said again; or it drains, and releases what is held when it has.
  }
  if (Status taken = take(response); !taken.ok()) {
    fail(taken);
    return;
  }
  state_ = State::kReading;
  resend_.stop();
  pump();
  on_slice_idle();
}

Status ReadTask::take(const wire::ReadResponse& response) {
  if (response.code != 0) {
    return Status(static_cast<StatusCode>(response.code), response.message);
  }
  if (response.states.size() != spec_.keys.size()) {
    return absl::DataLossError(fmt::format("the receiver answered {} keys with {} states",
                                           spec_.keys.size(), response.states.size()));
  }
  has_digests_ = !response.digests.empty();
  if (has_digests_ != link_.welcome().digests) {
    return absl::DataLossError(
        fmt::format("receiver {} answered a read {} digests, its welcome said otherwise",
                    link_.address().init_endpoint, has_digests_ ? "with" : "without"));
  }
  for (std::uint32_t i = 0; i < response.states.size(); ++i) {
    const std::size_t expected = spec_.objects[i].bytes().size();
    if (response.states[i] == wire::ReadState::kMiss) {
      settle(i, absl::NotFoundError(fmt::format("chunk {} is not at receiver {}", spec_.keys[i],
                                                link_.address().init_endpoint)));
    } else if (response.pages[i] >= link_.welcome().page_count) {
      return absl::DataLossError(fmt::format("the receiver says that chunk {} is in page {} of {}",
                                             spec_.keys[i], response.pages[i],
                                             link_.welcome().page_count));
    } else if (response.lengths[i] != expected) {
      settle(i, absl::InvalidArgumentError(
                    fmt::format("chunk {} has {} bytes at the receiver, its memory object {}",
                                spec_.keys[i], response.lengths[i], expected)));
    } else {
      hits_.push_back(
          {i, response.pages[i], response.generations[i], has_digests_ ? response.digests[i] : 0});
    }
  }
  return absl::OkStatus();
}

void ReadTask::settle(std::uint32_t key_index, Status status) {
  statuses_[key_index] = std::move(status);
}

void ReadTask::settle_read(const Hit& hit) {
  settle(hit.key_index, absl::OkStatus());
  bytes_read_ += spec_.objects[hit.key_index].bytes().size();
}

// ---- reading -----------------------------------------------------------------------------------

void ReadTask::pump() {
  const auto bytes_of = [this](std::size_t hit) {
    return spec_.objects[hits_[hit].key_index].bytes().size();
  };
  while (state_ == State::kReading && next_hit_ < hits_.size() && slices_busy_ < kMaxBusySlices) {
    std::vector<std::size_t> members;
    std::size_t bytes = 0;
    while (next_hit_ < hits_.size() && members.size() < kSliceChunks &&
           (members.empty() || bytes + bytes_of(next_hit_) <= kSliceBytes)) {
      bytes += bytes_of(next_hit_);
      members.push_back(next_hit_++);
    }
    start_slice(std::move(members));
  }
}

void ReadTask::start_slice(std::vector<std::size_t> members) {
  const std::size_t number = slices_.size();
  std::vector<transport::ReadOp> ops;
  ops.reserve(members.size());
  for (const std::size_t index : members) {
    const Hit& hit = hits_[index];
    ops.push_back({spec_.objects[hit.key_index].bytes(), hit.page, hit.generation, 0});
  }
  slices_.push_back({std::move(members), 0});
  ++slices_busy_;
  link_.read_batch(std::move(ops), lifetime_.guard([this, number](const Status& status) {
    on_slice_read(number, status);
  }));
}

void ReadTask::on_slice_read(std::size_t number, const Status& status) {
  Slice& slice = slices_[number];
  if (!status.ok() || state_ == State::kDraining) {
    --slices_busy_;
    if (state_ == State::kDraining) {
      if (query_ != nullptr && !status.ok() && !absl::IsInvalidArgument(status)) {
        link_.reset_session(session_, Status(status));  // No news of a stock peer's end comes.
      }
      on_slice_idle();
    } else if (absl::IsInvalidArgument(status) || absl::IsPermissionDenied(status)) {
      fail(status);  // Its own fault, or the receiver's guard: the connection is not to blame.
    } else {
      // Its connection is gone, and the news of that is under way.
      link_.reset_session(session_, Status(status));
      fail(status);
    }
    return;
  }
  if (!has_digests_) {
    for (const std::size_t index : slice.hits) {
      if (query_ == nullptr) {  // Otherwise it counts when it is confirmed.
        settle_read(hits_[index]);
      }
    }
    --slices_busy_;
    pump();
    on_slice_idle();
    return;
  }
  slice.digests_left = slice.hits.size();
  for (const std::size_t index : slice.hits) {
    const Hit& hit = hits_[index];
    digests_.add(spec_.objects[hit.key_index].bytes(),
                 lifetime_.guard([this, number, hit](std::uint64_t digest) {
                   on_digest(number, hit, digest);
                 }));
  }
}

void ReadTask::on_digest(std::size_t number, const Hit& hit, std::uint64_t digest) {
  if (digest == hit.digest) {
    settle_read(hit);
  } else {
    settle(hit.key_index,
           absl::DataLossError(fmt::format("the bytes read of chunk {} differ from what was "
                                           "committed: digest {:016x}, expected {:016x}",
                                           spec_.keys[hit.key_index], digest, hit.digest)));
    log::warning("[{}] read {}: {}", spec_.req_id, id_,
                 std::string(statuses_[hit.key_index]->message()));
  }
  if (--slices_[number].digests_left == 0) {
    --slices_busy_;
    pump();
    on_slice_idle();
  }
}

void ReadTask::on_slice_idle() {
  if (slices_busy_ > 0) {
    return;
  }
  const bool all_read = state_ == State::kReading && next_hit_ == hits_.size();
  if (all_read && query_ != nullptr && !hits_.empty()) {
    ask_stock_again();
  } else if (all_read || state_ == State::kDraining) {
    end();
  }
}

// ---- ending ------------------------------------------------------------------------------------

void ReadTask::fail(const Status& why) {
  if (state_ == State::kDraining || state_ == State::kEnded) {
    return;
  }
  state_ = State::kDraining;
  failure_ = why;
  resend_.stop();
  scheduler_.cancel(std::exchange(deadline_timer_, kNoTimer));
  log::warning("[{}] read {} failed: {}", spec_.req_id, id_, std::string(why.message()));
  if (slices_busy_ == 0) {
    on_slice_idle();
    return;
  }
  drain_timer_ = scheduler_.run_after(config_.drain_timeout, lifetime_.guard([this] {
    drain_timer_ = kNoTimer;
    // A read can't be cancelled alone; cutting the connection ends it, and the others' too.
    log::warning("[{}] read {} is not drained after {} ms: the connection to {} is cut",
                 spec_.req_id, id_, to_ms(config_.drain_timeout), link_.address().init_endpoint);
    link_.reset_session(session_,
                        absl::UnavailableError(std::string("cut to drain a read that failed")));
  }));
}

void ReadTask::end() {
  state_ = State::kEnded;
  resend_.stop();
  scheduler_.cancel(std::exchange(deadline_timer_, kNoTimer));
  scheduler_.cancel(std::exchange(drain_timer_, kNoTimer));
  if (query_ == nullptr && session_ != 0 && link_.state() == PeerLink::State::kReady &&
      link_.session() == session_) {
    link_.send_read_release(id_);  // Otherwise the receiver's fence ends what it holds.
  }
  spec_.objects.clear();  // The references go back before anybody is told.
  ReadResult result;
  result.bytes_read = bytes_read_;
  result.duration = scheduler_.now() - submitted_;
  for (const std::optional<Status>& status : statuses_) {
    result.statuses.push_back(status.value_or(failure_));
    result.hits += result.statuses.back().ok() ? 1 : 0;
  }
  scheduler_.post([handle = handle_, result = std::move(result), failure = failure_,
                   keys = std::move(spec_.keys),
                   on_key_done = std::move(spec_.on_key_done)]() mutable {
    for (std::size_t i = 0; on_key_done && i < keys.size(); ++i) {
      on_key_done(keys[i], result.statuses[i]);
    }
    on_key_done = nullptr;  // What it holds is free when the handle says so.
    handle->finish(failure.ok() ? StatusOr<ReadResult>(std::move(result))
                                : StatusOr<ReadResult>(failure));
  });
  owner_.on_read_ended(*this);
}

}  // namespace baton::sender
