// Writing and committing in slices: PutTask's half that moves bytes.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/sender/put_task.h"

namespace baton::sender {
namespace {

/// A slice is committed as a whole while the next ones are written. A commit wakes three threads,
/// so slices are large. But where they are verified, nothing is while the first one is written, and
/// nothing is written while the last one is verified: so each has no more than all before it, and
/// no more than a quarter of what is left, down to where a commit costs as much as verifying.
constexpr std::size_t kMaxSliceBytes = std::size_t{8} << 20U;
constexpr std::size_t kMinSliceBytes = std::size_t{1} << 20U;
constexpr std::size_t kSliceShare = 4;
constexpr std::size_t kSliceChunks = 256;
/// Slices that are written or digested at a time.
constexpr std::size_t kMaxBusySlices = 2;

}  // namespace

// ---- writing -----------------------------------------------------------------------------------

std::span<const std::byte> PutTask::bytes_of(const Grant& grant) const {
  return spec_.objects[grant.key_index].bytes();
}

std::size_t PutTask::next_slice_bytes() const {
  if (!link_.welcome().digests) {
    return kMaxSliceBytes;
  }
  return std::clamp(std::min(bytes_begun_, bytes_left_ / kSliceShare), kMinSliceBytes,
                    kMaxSliceBytes);
}

void PutTask::pump() {
  while (state_ == State::kWriting && next_grant_ < grants_.size() && !waits_for_window_ &&
         slices_busy_ < kMaxBusySlices) {
    const std::size_t most_bytes = next_slice_bytes();
    std::vector<std::size_t> members;
    std::size_t bytes = 0;
    for (std::size_t next = next_grant_;
         next < grants_.size() && members.size() < kSliceChunks &&
         (members.empty() || bytes + bytes_of(grants_[next]).size() <= most_bytes);
         ++next) {
      bytes += bytes_of(grants_[next]).size();
      members.push_back(next);
    }
    if (!link_.window().enter(bytes, lifetime_.guard([this] {
          waits_for_window_ = false;
          pump();
        }))) {
      waits_for_window_ = true;  // Others' slices are under way, or it is their turn.
      return;
    }
    next_grant_ += members.size();
    bytes_left_ -= bytes;
    bytes_begun_ += bytes;
    start_slice(std::move(members), bytes);
  }
}

void PutTask::start_slice(std::vector<std::size_t> members, std::size_t bytes) {
  const auto number = static_cast<std::uint32_t>(slices_.size());
  Slice& slice = slices_.emplace_back();
  slice.grants = std::move(members);
  slice.bytes = bytes;
  slice.steps_left = 1;
  const bool wants_digests = link_.welcome().digests;
  if (wants_digests) {
    slice.digests = std::make_shared<std::vector<std::uint64_t>>(slice.grants.size());
  }
  ++slices_busy_;
  ++slices_open_;

  // Either way the references that the put holds outlast the digest: it counts as a step.
  const bool on_the_way = wants_digests && link_.digests_writes();
  std::vector<transport::WriteOp> ops;
  for (std::size_t i = 0; i < slice.grants.size(); ++i) {
    const Grant& grant = grants_[slice.grants[i]];
    if (grant.is_there) {
      if (wants_digests) {
        take_digest(number, i);
      }
      continue;
    }
    stats_.bytes_written += bytes_of(grant).size();
    const bool dropped = faults_.drop_write && faults_.drop_write(spec_.keys[grant.key_index]);
    if (!dropped) {
      ops.push_back({bytes_of(grant), grant.page, grant.generation, 0,
                     on_the_way ? &(*slice.digests)[i] : nullptr});
    }
    if (wants_digests && (dropped || !on_the_way)) {
      take_digest(number, i);
    }
  }
  link_.write_batch(std::move(ops), lifetime_.guard([this, number, digests = slice.digests](
                                                        const Status& status) {
    static_cast<void>(digests);  // Held until now for the transport, whatever became of the slice.
    slices_[number].write_status = status;
    on_slice_step(number);
  }));
}

/// One that no transport takes: read from memory once more.
void PutTask::take_digest(std::uint32_t number, std::size_t index) {
  Slice& slice = slices_[number];
  ++slice.steps_left;
  digests_.add(bytes_of(grants_[slice.grants[index]]),
               lifetime_.guard([this, number, index](std::uint64_t digest) {
                 (*slices_[number].digests)[index] = digest;
                 on_slice_step(number);
               }));
}

void PutTask::on_slice_step(std::uint32_t number) {
  Slice& slice = slices_[number];
  if (--slice.steps_left > 0) {
    return;
  }
  --slices_busy_;
  const std::size_t bytes = slice.bytes;
  if (drains_after(Status(slice.write_status))) {
    link_.window().leave(bytes);
    return;
  }
  commit_slice(number);
  link_.window().leave(bytes);
  pump();
  update_state();
}

/// True if the put does not go on: it has failed before, or this write did.
bool PutTask::drains_after(const Status& write_status) {
  if (state_ == State::kDraining || state_ == State::kRestarting) {
    if (!write_status.ok() && !absl::IsInvalidArgument(write_status)) {
      // What the network still has of it may land yet: only the receiver's fence ends that, and
      // no drain may say otherwise.
      link_.reset_session(session_, Status(write_status));
    }
    on_slices_idle();
    return true;
  }
  if (absl::IsInvalidArgument(write_status)) {
    fail(Status(write_status));
    return true;
  }
  if (!write_status.ok()) {
    // Its connection is gone, and the news of that is under way: the request decides what next.
    link_.reset_session(session_, Status(write_status));
    return true;
  }
  return false;
}

void PutTask::commit_slice(std::uint32_t number) {
  slices_[number].sent = true;
  if (link_.is_stock()) {
    on_response(wire::CommitResponse{id_, number, 0, {}});  // It takes the bytes for the word.
    return;
  }
  if (const Status sent = link_.send(commit_request(number)); !sent.ok()) {
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
  if (slices_[number].digests != nullptr) {
    request.digests = *slices_[number].digests;
  }
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
    if (grants_[index].is_there) {
      spend_place(grants_[index].key_index);
    }
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

}  // namespace baton::sender
