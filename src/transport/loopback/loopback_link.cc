#include "src/transport/loopback/loopback_link.h"

#include <algorithm>
#include <utility>

#include "src/transport/loopback/loopback_transport.h"

namespace baton::transport {

void LoopbackCallbacks::post(Task task) {
  scheduler_.post([silenced = silenced_, task = std::move(task)]() mutable {
    if (!*silenced) {
      task();
    }
  });
}

void LoopbackLink::enqueue(std::vector<WriteOp> ops, Status verdict, Done done) {
  batches_.push_back({std::move(ops), std::move(verdict), std::move(done)});
  schedule_turn();
}

void LoopbackLink::end(const Status& why) {
  for (Batch& batch : std::exchange(batches_, {})) {
    callbacks_.post([done = std::move(batch.done), why]() mutable { done(why); });
  }
}

void LoopbackLink::schedule_turn() {
  if (turn_scheduled_ || batches_.empty()) {
    return;
  }
  turn_scheduled_ = true;
  // Weak: a link that nobody holds any more has ended, and its turn means nothing.
  Task turn = [weak = weak_from_this()] {
    if (const auto link = weak.lock()) {
      link->take_turn();
    }
  };
  if (hub_.options().piece_delay > Duration::zero()) {
    hub_.scheduler().run_after(hub_.options().piece_delay, std::move(turn));
  } else {
    hub_.scheduler().post(std::move(turn));
  }
}

void LoopbackLink::take_turn() {
  turn_scheduled_ = false;
  if (batches_.empty()) {
    return;
  }
  const Batch& batch = batches_.front();
  if (!batch.verdict.ok() || op_index_ == batch.ops.size()) {
    finish_batch();
  } else if (!land_piece()) {
    return;
  }
  schedule_turn();
}

void LoopbackLink::finish_batch() {
  Batch batch = std::move(batches_.front());
  batches_.pop_front();
  op_index_ = 0;
  landed_bytes_ = 0;
  callbacks_.post([done = std::move(batch.done), verdict = std::move(batch.verdict)]() mutable {
    done(std::move(verdict));
  });
}

bool LoopbackLink::land_piece() {
  const WriteOp& op = batches_.front().ops[op_index_];
  const std::size_t piece_bytes =
      std::min(op.local.size() - landed_bytes_, hub_.options().piece_bytes);
  if (landed_bytes_ == 0 && hub_.drops(writer_, receiver_, op)) {
    ++op_index_;
    return true;
  }
  LoopbackTransport* target = hub_.find(receiver_);
  if (target == nullptr || !target->land(writer_, op, landed_bytes_, piece_bytes)) {
    return false;  // The receiver has ended this link.
  }
  landed_bytes_ += piece_bytes;
  if (landed_bytes_ == op.local.size()) {
    ++op_index_;
    landed_bytes_ = 0;
  }
  return true;
}

}  // namespace baton::transport
