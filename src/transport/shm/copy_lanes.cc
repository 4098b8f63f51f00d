#include "src/transport/shm/copy_lanes.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

namespace baton::transport::shm {
namespace {

using Batch = CopyLanes::Batch;

/// What a piece counts for at least, so that a turn of tiny pieces is bounded too.
constexpr std::size_t kMinPieceCost = 256;
constexpr CopyLanes::Taker kFirstHelper = CopyLanes::kLoop + 1;

bool is_taken(const Batch& batch) {
  return batch.next_piece == batch.pieces.size();
}

}  // namespace

/// Of one peer. Its batches are taken in order; what follows may be begun while shares of what
/// came before are out, but it does not finish before.
struct CopyLanes::Lane {
  struct Begun {
    std::unique_ptr<BegunPiece> piece;
    Taker taker;  // goes on with it, if it can: then no other thread is woken for it
    Batch* batch;
  };

  PeerId peer;
  std::deque<Batch> batches{};
  std::vector<Begun> begun{};  // at most one a thread
  std::size_t shares_out = 0;
  bool in_rotation = false;
  bool dropped = false;

  /// The first batch of which nobody has taken all. Before it are only empty ones, and some that
  /// are nearly copied.
  Batch* next_batch() {
    const auto found = std::find_if_not(batches.begin(), batches.end(),
                                        [](const Batch& b) { return is_taken(b); });
    return found != batches.end() ? &*found : nullptr;
  }
  auto begun_by(Taker taker) {
    return std::find_if(begun.begin(), begun.end(),
                        [&](const Begun& b) { return b.taker == taker; });
  }
  bool offers_new_to(Taker helper) {
    const Batch* batch = next_batch();
    return batch != nullptr && helper <= batch->last_helper &&
           (batch->left_bytes >= kTailBytes || batch != &batches.back());
  }
  bool offers_to(Taker taker) {
    return taker == kLoop || begun_by(taker) != begun.end() || offers_new_to(taker);
  }

  Taken cut(Taker taker, std::size_t budget_bytes);
  Taken cut_begun(Taken taken, std::vector<Begun>::iterator which, std::size_t budget_bytes);
};

namespace {

/// Whole pieces, and some of the one that doesn't fit in whole.
void cut_new(CopyLanes::Taken& taken, std::size_t budget_bytes) {
  Batch& batch = *taken.batch;
  const std::size_t first = batch.next_piece;
  std::size_t whole = 0;
  taken.cost_bytes = kMinPieceCost;
  while (!is_taken(batch) && taken.cost_bytes < budget_bytes) {
    CopyPiece& piece = batch.pieces[batch.next_piece];
    const std::size_t room_bytes = budget_bytes - taken.cost_bytes;
    const bool fits = piece.bytes <= room_bytes;
    taken.cost_bytes += std::max(std::min(piece.bytes, room_bytes), kMinPieceCost);
    if (fits) {
      batch.left_bytes -= piece.bytes;
      ++batch.next_piece;
      ++whole;
    } else if (piece.digest != nullptr) {
      batch.left_bytes -= piece.bytes;
      ++batch.next_piece;
      ++batch.open;
      taken.share.begun = std::make_unique<BegunPiece>(piece);
      taken.share.begun_budget_bytes = room_bytes;
      break;
    } else {
      taken.share.part = {.to = piece.to, .from = piece.from, .bytes = room_bytes};
      piece.to += room_bytes;
      piece.from += room_bytes;
      piece.bytes -= room_bytes;
      batch.left_bytes -= room_bytes;
      break;
    }
  }
  taken.share.whole = std::span<const CopyPiece>(batch.pieces).subspan(first, whole);
}

}  // namespace

CopyLanes::Taken CopyLanes::Lane::cut(Taker taker, std::size_t budget_bytes) {
  Taken taken{.taker = taker, .lane = this};
  if (const auto own = begun_by(taker); own != begun.end()) {
    return cut_begun(std::move(taken), own, budget_bytes);
  }
  taken.batch = next_batch();
  if (taken.batch == nullptr) {  // The loop, and nothing but what others began.
    return cut_begun(std::move(taken), begun.begin(), budget_bytes);
  }
  cut_new(taken, budget_bytes);
  return taken;
}

CopyLanes::Taken CopyLanes::Lane::cut_begun(Taken taken, std::vector<Begun>::iterator which,
                                            std::size_t budget_bytes) {
  taken.batch = which->batch;
  taken.share.begun = std::move(which->piece);
  taken.share.begun_budget_bytes = std::max(budget_bytes, kMinPieceCost + 1) - kMinPieceCost;
  taken.cost_bytes = kMinPieceCost +
                     std::min(taken.share.begun->copy.left_bytes(), taken.share.begun_budget_bytes);
  begun.erase(which);
  return taken;
}

CopyLanes::CopyLanes(Taker last_digest_helper) : last_digest_helper_(last_digest_helper) {}
CopyLanes::~CopyLanes() = default;

bool CopyLanes::submit(const PeerId& peer, Batch batch) {
  for (const CopyPiece& piece : batch.pieces) {
    batch.left_bytes += piece.bytes;
  }
  batch.last_helper = last_helper_of(batch);
  const bool has_helpers = batch.last_helper >= kFirstHelper;
  const MutexLock lock(mutex_);
  std::unique_ptr<Lane>& lane = lanes_[peer];
  if (lane == nullptr) {
    lane = std::make_unique<Lane>(Lane{.peer = peer});
  }
  lane->batches.push_back(std::move(batch));
  settle(*lane);
  return has_helpers;
}

CopyLanes::Taker CopyLanes::last_helper_of(const Batch& batch) const {
  if (batch.left_bytes < kHelpBytes) {
    return kLoop;
  }
  const bool any_digest =
      std::any_of(batch.pieces.begin(), batch.pieces.end(),
                  [](const CopyPiece& piece) { return piece.digest != nullptr; });
  return any_digest ? last_digest_helper_ : std::numeric_limits<Taker>::max();
}

std::optional<CopyLanes::Taken> CopyLanes::take(Taker taker, std::size_t budget_bytes) {
  const MutexLock lock(mutex_);
  return take_locked(taker, budget_bytes);
}

std::optional<CopyLanes::Taken> CopyLanes::await(Taker helper, std::size_t budget_bytes) {
  const MutexLock lock(mutex_);
  while (!stopped_) {
    if (auto taken = take_locked(helper, budget_bytes)) {
      return taken;
    }
    ++sleepers_;
    work_.wait(mutex_);
    --sleepers_;
  }
  return std::nullopt;
}

std::optional<CopyLanes::Taken> CopyLanes::take_locked(Taker taker, std::size_t budget_bytes) {
  const auto found = std::find_if(rotation_.begin(), rotation_.end(),
                                  [&](Lane* lane) { return lane->offers_to(taker); });
  if (found == rotation_.end()) {
    return std::nullopt;
  }
  Lane& lane = **found;
  rotation_.erase(found);
  Taken taken = lane.cut(taker, budget_bytes);
  ++lane.shares_out;
  ++taken.batch->open;
  lane.in_rotation = lane.next_batch() != nullptr || !lane.begun.empty();
  if (lane.in_rotation) {
    rotation_.push_back(&lane);
  }
  return taken;
}

bool CopyLanes::give_back(Taken taken, std::size_t copied_bytes) {
  Lane& lane = *taken.lane;
  std::unique_ptr<BegunPiece> begun = std::move(taken.share.begun);
  const MutexLock lock(mutex_);
  helped_bytes_ += taken.taker == kLoop ? 0 : copied_bytes;
  --lane.shares_out;
  --taken.batch->open;
  if (lane.dropped) {
    quiet_.notify_all();
    return false;
  }
  if (begun != nullptr && begun->copy.left_bytes() > 0) {
    lane.begun.push_back({std::move(begun), taken.taker, taken.batch});
  } else if (begun != nullptr) {
    --taken.batch->open;
  }
  return settle(lane);
}

/// After something was added or given back: ends what is copied, and offers what is left. The lane
/// may be gone then. True if batches were finished.
bool CopyLanes::settle(Lane& lane) {
  bool finished = false;
  while (!lane.batches.empty() && is_taken(lane.batches.front()) &&
         lane.batches.front().open == 0) {
    finished_.push_back(std::move(lane.batches.front()));
    lane.batches.pop_front();
    finished = true;
  }
  if (lane.batches.empty()) {
    lanes_.erase(PeerId(lane.peer));
    return finished;
  }
  if (!lane.in_rotation && (lane.next_batch() != nullptr || !lane.begun.empty())) {
    lane.in_rotation = true;
    rotation_.push_back(&lane);
  }
  if (sleepers_ > 0 && lane.offers_new_to(kFirstHelper)) {
    work_.notify_all();
  }
  return finished;
}

bool CopyLanes::has_more() const {
  const MutexLock lock(mutex_);
  return !rotation_.empty();
}

std::uint64_t CopyLanes::helped_bytes() const {
  const MutexLock lock(mutex_);
  return helped_bytes_;
}

std::vector<Batch> CopyLanes::take_finished() {
  const MutexLock lock(mutex_);
  return std::exchange(finished_, {});
}

std::vector<Batch> CopyLanes::drop(const PeerId& peer) {
  const MutexLock lock(mutex_);
  const auto found = lanes_.find(peer);
  if (found == lanes_.end()) {
    return {};
  }
  const std::unique_ptr<Lane> lane = std::move(found->second);
  lanes_.erase(found);
  std::erase(rotation_, lane.get());
  lane->dropped = true;
  while (lane->shares_out > 0) {  // Each ends by itself, within one quantum.
    quiet_.wait(mutex_);
  }
  return {std::move_iterator(lane->batches.begin()), std::move_iterator(lane->batches.end())};
}

void CopyLanes::stop() {
  const MutexLock lock(mutex_);
  stopped_ = true;
  work_.notify_all();
}

}  // namespace baton::transport::shm
