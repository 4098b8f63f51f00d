#include "src/transport/shm/copy_queue.h"

#include <pthread.h>

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "src/transport/post_done.h"

namespace baton::transport::shm {

CopyQueue::~CopyQueue() {
  lanes_.stop();
  for (std::thread& helper : helpers_) {
    helper.join();
  }
}

void CopyQueue::submit(const PeerId& peer, std::vector<CopyPiece> pieces, Status outcome,
                       Done done) {
  const bool wants_help = lanes_.submit(peer, CopyLanes::Batch{.pieces = std::move(pieces),
                                                               .outcome = std::move(outcome),
                                                               .done = std::move(done)});
  if (wants_help) {
    start_helpers();
  }
  schedule_turn();
}

void CopyQueue::drop(const PeerId& peer, const Status& why) {
  std::vector<CopyLanes::Batch> dropped = lanes_.drop(peer);
  post_finished();  // They came before.
  for (CopyLanes::Batch& batch : dropped) {
    // A batch that was refused when it came keeps its own reason.
    post_done(scheduler_, std::move(batch.done), batch.outcome.ok() ? why : batch.outcome);
  }
}

void CopyQueue::start_helpers() {
  while (helpers_.size() < max_helpers_) {
    const auto number = static_cast<CopyLanes::Taker>(helpers_.size() + 1);
    try {
      helpers_.emplace_back([this, number] { help(number); });
    } catch (const std::system_error& /*there is no thread for it*/) {
      max_helpers_ = static_cast<std::uint32_t>(helpers_.size());
    }
  }
}

void CopyQueue::help(CopyLanes::Taker helper) {
  pthread_setname_np(pthread_self(), "baton-copy");
  while (auto taken = lanes_.await(helper, kQuantumBytes)) {
    const std::size_t bytes = taken->share.copy();
    if (lanes_.give_back(*std::move(taken), bytes)) {
      schedule_turn();
    }
  }
}

void CopyQueue::schedule_turn() {
  if (!turn_scheduled_.exchange(true)) {
    scheduler_.post(lifetime_.guard([this] { run_turn(); }));
  }
}

void CopyQueue::run_turn() {
  turn_scheduled_ = false;
  std::size_t budget_bytes = kTurnBytes;
  while (budget_bytes > 0) {
    auto taken = lanes_.take(CopyLanes::kLoop, std::min(budget_bytes, kQuantumBytes));
    if (!taken) {
      break;
    }
    budget_bytes -= std::min(budget_bytes, taken->cost_bytes);
    const std::size_t bytes = taken->share.copy();
    lanes_.give_back(*std::move(taken), bytes);
  }
  post_finished();
  if (lanes_.has_more()) {
    schedule_turn();
  }
}

void CopyQueue::post_finished() {
  for (CopyLanes::Batch& batch : lanes_.take_finished()) {
    post_done(scheduler_, std::move(batch.done), std::move(batch.outcome));
  }
}

}  // namespace baton::transport::shm
