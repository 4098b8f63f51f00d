#include "src/transport/shm/copy_queue.h"

#include <algorithm>
#include <utility>

#include "src/transport/post_done.h"
#include "src/transport/shm/copy_kernel.h"

namespace baton::transport::shm {
namespace {

/// What a piece counts for at least, so that a turn of tiny pieces is bounded too.
constexpr std::size_t kMinPieceCost = 256;

}  // namespace

void CopyQueue::submit(const PeerId& peer, std::vector<CopyPiece> pieces, Status outcome,
                       Done done) {
  Lane& lane = lanes_[peer];
  if (lane.empty()) {
    rotation_.push_back(peer);
  }
  lane.push_back(
      Batch{.pieces = std::move(pieces), .outcome = std::move(outcome), .done = std::move(done)});
  schedule_turn();
}

void CopyQueue::drop(const PeerId& peer, const Status& why) {
  const auto found = lanes_.find(peer);
  if (found == lanes_.end()) {
    return;
  }
  for (Batch& batch : found->second) {
    // A batch that was refused when it came keeps its own reason.
    post_done(scheduler_, std::move(batch.done), batch.outcome.ok() ? why : batch.outcome);
  }
  lanes_.erase(found);
  std::erase(rotation_, peer);
}

void CopyQueue::schedule_turn() {
  if (!std::exchange(turn_scheduled_, true)) {
    scheduler_.post(lifetime_.guard([this] { run_turn(); }));
  }
}

void CopyQueue::run_turn() {
  turn_scheduled_ = false;
  std::vector<Batch> finished;
  std::size_t budget_bytes = kTurnBytes;
  while (budget_bytes > 0 && !rotation_.empty()) {
    const PeerId peer = rotation_.front();
    rotation_.pop_front();
    const auto lane = lanes_.find(peer);
    Batch& batch = lane->second.front();
    const std::size_t cost = copy_quantum(batch, std::min(budget_bytes, kQuantumBytes));
    budget_bytes -= std::min(budget_bytes, cost);
    if (batch.next_piece == batch.pieces.size()) {
      finished.push_back(std::move(batch));
      lane->second.pop_front();
    }
    if (lane->second.empty()) {
      lanes_.erase(lane);
    } else {
      rotation_.push_back(peer);
    }
  }
  publish_stores();  // Before any `done`, and before the turn in which the mapping may go.
  for (Batch& batch : finished) {
    post_done(scheduler_, std::move(batch.done), std::move(batch.outcome));
  }
  if (!rotation_.empty()) {
    schedule_turn();
  }
}

std::size_t CopyQueue::copy_quantum(Batch& batch, std::size_t budget_bytes) {
  std::size_t cost = kMinPieceCost;
  while (batch.next_piece < batch.pieces.size() && cost < budget_bytes) {
    cost += std::max(copy_slice(batch, budget_bytes - cost), kMinPieceCost);
    if (batch.pieces[batch.next_piece].bytes == 0) {
      ++batch.next_piece;
    }
  }
  return cost;
}

std::size_t CopyQueue::copy_slice(Batch& batch, std::size_t budget_bytes) {
  CopyPiece& piece = batch.pieces[batch.next_piece];
  std::size_t bytes = std::min(piece.bytes, budget_bytes);
  if (piece.digest == nullptr) {
    copy_bulk(piece.to, piece.from, bytes);
    piece.to += bytes;
    piece.from += bytes;
  } else {
    if (!batch.digesting.has_value()) {
      batch.digesting.emplace(piece.to, piece.from, piece.bytes);
    }
    bytes = batch.digesting->advance(budget_bytes);
    if (batch.digesting->left_bytes() == 0) {
      *piece.digest = batch.digesting->digest();
      batch.digesting.reset();
    }
  }
  piece.bytes -= bytes;
  return bytes;
}

}  // namespace baton::transport::shm
