// How a put ends, or begins anew: PutTask's half that gives things back.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/log.h"
#include "src/sender/milliseconds.h"
#include "src/sender/put_task.h"

namespace baton::sender {

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
  if (std::any_of(spec_.objects.begin(), spec_.objects.end(),
                  [](const MemoryObj& object) { return object.in_place(); })) {
    fail(why);  // Its chunks lay in the pages of the receiver that is gone.
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
  leave_places(true);
  waits_for_window_ = false;
  grants_.clear();
  next_grant_ = 0;
  bytes_left_ = 0;
  bytes_begun_ = 0;
  slices_.clear();
  slices_open_ = 0;
  stats_.chunks_sent = 0;
  stats_.bytes_written = 0;
  stats_.bytes_eager = 0;
  ++stats_.restarts;
  begin();
}

void PutTask::finish_drain() {
  wire::DrainNotif drained;
  drained.put_id = id_;
  for (const Grant& grant : grants_) {
    if (!grant.committed && !grant.is_there) {
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
  leave_places(!status.ok());
  scheduler_.cancel(std::exchange(deadline_timer_, kNoTimer));
  scheduler_.cancel(std::exchange(drain_timer_, kNoTimer));
  stats_.duration = scheduler_.now() - submitted_;
  spec_.objects.clear();  // The references go back before anybody is told.
  scheduler_.post([handle = handle_, stats = stats_, status, keys = std::move(spec_.keys),
                   on_key_done = std::move(spec_.on_key_done)]() mutable {
    if (on_key_done) {
      std::string key;
      for (const std::string_view text : keys) {
        key = text;
        on_key_done(key, status);
      }
    }
    on_key_done = nullptr;  // What it holds is free when the handle says so.
    handle->finish(status, stats);
  });
  owner_.on_put_ended(*this);
}

}  // namespace baton::sender
