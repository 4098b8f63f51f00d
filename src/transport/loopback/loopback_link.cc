#include "src/transport/loopback/loopback_link.h"

#include <algorithm>
#include <utility>

#include "src/transport/loopback/loopback_transport.h"

namespace baton::transport {
namespace {

/// How many pieces a network may hold of a connection that has ended.
constexpr int kMaxStragglers = 8;

}  // namespace

void LoopbackCallbacks::post(Task task) {
  scheduler_.post([silenced = silenced_, task = std::move(task)]() mutable {
    if (!*silenced) {
      task();
    }
  });
}

void LoopbackCallbacks::run_after(Duration delay, Task task) {
  scheduler_.run_after(delay, [silenced = silenced_, task = std::move(task)]() mutable {
    if (!*silenced) {
      task();
    }
  });
}

void LoopbackLink::enqueue(std::vector<LoopbackOp> ops, Status verdict, Done done) {
  batches_.push_back({std::move(ops), std::move(verdict), std::move(done)});
  schedule_turn();
}

void LoopbackLink::sever() {
  if (std::exchange(severed_, true) || batches_.empty() || !batches_.front().verdict.ok()) {
    return;
  }
  const Batch& batch = batches_.front();
  std::size_t from = landed_bytes_;
  std::size_t op_index = op_index_;
  for (int i = 0; i < kMaxStragglers && op_index < batch.ops.size(); ++i) {
    const auto* const op = std::get_if<WriteOp>(&batch.ops[op_index]);
    if (op == nullptr) {
      break;  // A batch of reads: its reader's memory may be gone by then.
    }
    const std::size_t bytes = std::min(op->local.size() - from, hub_.options().piece_bytes);
    hub_.let_straggle(writer_, receiver_, *op, from, bytes);
    from += bytes;
    if (from == op->local.size()) {
      ++op_index;
      from = 0;
    }
  }
}

bool LoopbackLink::is_reading() const {
  return !batches_.empty() && !batches_.front().ops.empty() &&
         std::holds_alternative<ReadOp>(batches_.front().ops.front());
}

void LoopbackLink::sever_writes() {
  if (is_reading()) {
    writes_severed_ = true;
  } else {
    sever();
  }
}

void LoopbackLink::end(const Status& why) {
  sever();
  for (Batch& batch : std::exchange(batches_, {})) {
    callbacks_.post([done = std::move(batch.done), why]() mutable { done(why); });
  }
}

void LoopbackLink::schedule_turn() {
  if (turn_scheduled_ || severed_ || batches_.empty()) {
    return;
  }
  turn_scheduled_ = true;
  // Weak: a link that nobody holds any more has ended, and its turn means nothing.
  Task turn = [weak = weak_from_this()] {
    if (const auto link = weak.lock()) {
      link->take_turn();
    }
  };
  if (const Duration delay = hub_.piece_delay(writer_, receiver_); delay > Duration::zero()) {
    hub_.scheduler().run_after(delay, std::move(turn));
  } else {
    hub_.scheduler().post(std::move(turn));
  }
}

void LoopbackLink::take_turn() {
  turn_scheduled_ = false;
  if (writes_severed_ && !is_reading()) {
    sever();
  }
  if (severed_ || batches_.empty()) {
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
  return std::visit([this](const auto& op) { return move_piece(op); },
                    batches_.front().ops[op_index_]);
}

template <typename Op>
bool LoopbackLink::move_piece(const Op& op) {
  const std::size_t piece_bytes =
      std::min(op.local.size() - landed_bytes_, hub_.options().piece_bytes);
  if (landed_bytes_ == 0 && hub_.drops(writer_, receiver_, op)) {
    digest_piece(op, op.local.size());
    ++op_index_;
    return true;
  }
  LoopbackTransport* target = hub_.find(receiver_);
  if (target == nullptr || !target->land(writer_, op, landed_bytes_, piece_bytes)) {
    return false;  // The receiver has ended this link.
  }
  digest_piece(op, piece_bytes);
  landed_bytes_ += piece_bytes;
  if (landed_bytes_ == op.local.size()) {
    ++op_index_;
    landed_bytes_ = 0;
  }
  return true;
}

void LoopbackLink::digest_piece(const WriteOp& op, std::size_t bytes) {
  if (op.digest == nullptr) {
    return;
  }
  if (landed_bytes_ == 0) {
    digest_ = DigestStream();
  }
  digest_.update(op.local.subspan(landed_bytes_, bytes));
  if (landed_bytes_ + bytes == op.local.size()) {
    *op.digest = digest_.value();
  }
}

}  // namespace baton::transport
