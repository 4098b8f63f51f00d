// Chunks in pages that were granted before the put: PutTask's half that has only to say so.
// docs/protocol.md, "Pages ahead".
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/digest.h"
#include "src/sender/put_task.h"

namespace baton::sender {
/// The chunks that prefill has put into the receiver's pages by itself.
Status PutTask::find_places() {
  stock_ = link_.ahead();
  std::size_t bytes = 0;
  for (std::uint32_t i = 0; i < spec_.objects.size(); ++i) {
    const MemoryObj& object = spec_.objects[i];
    if (!object.in_place()) {
      continue;
    }
    const auto page = stock_ == nullptr ? std::nullopt : stock_->find(object);
    if (!page.has_value()) {
      return absl::UnavailableError(fmt::format(
          "chunk {} of put {} lies in a page of another receiver, of a connection that is gone, or "
          "that was put before; allocate it anew",
          i, id_));
    }
    places_.resize(spec_.objects.size());
    places_[i] = Place{*page, true};
    bytes += object.bytes().size();
  }
  if (!places_.empty() && link_.welcome().digests &&
      bytes <= std::min(config_.ahead_bytes, wire::kMaxBytesAtOnce)) {
    place_digests_ = std::make_shared<std::vector<std::uint64_t>>(places_.size());
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (places_[i].has_value()) {
        (*place_digests_)[i] = digest_of(spec_.objects[i].bytes());
      }
    }
  }
  return absl::OkStatus();
}

/// A small put whose chunks lie here: they are written into pages ahead, and then the receiver need
/// only be told. True if that takes a while; on_filled() comes then.
bool PutTask::fill_places() {
  if (stock_ == nullptr || !places_.empty() || faults_.drop_write) {
    return false;
  }
  std::size_t bytes = 0;
  for (const MemoryObj& object : spec_.objects) {
    bytes += object.bytes().size();
  }
  if (bytes > std::min(config_.ahead_bytes, wire::kMaxBytesAtOnce)) {
    return false;
  }
  const std::vector<AheadStock::Page> pages = stock_->take(spec_.objects.size());
  if (pages.empty()) {
    return false;
  }
  if (link_.welcome().digests) {
    place_digests_ = std::make_shared<std::vector<std::uint64_t>>(pages.size());
  }
  stats_.bytes_written += bytes;
  const bool on_the_way = place_digests_ != nullptr && link_.digests_writes();
  std::vector<transport::WriteOp> ops;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const std::span<const std::byte> chunk = spec_.objects[i].bytes();
    places_.emplace_back(Place{pages[i]});
    ops.push_back({chunk, pages[i].page, pages[i].generation, 0,
                   on_the_way ? &(*place_digests_)[i] : nullptr});
    if (place_digests_ != nullptr && !on_the_way) {
      (*place_digests_)[i] = digest_of(chunk);
    }
  }
  if (bytes <= transport::Transport::kMaxBytesAtOnce && link_.write_at_once(ops).ok()) {
    return false;  // Past large puts' batches, and without a turn of its own.
  }
  state_ = State::kFilling;
  ++slices_busy_;
  link_.write_batch(std::move(ops),
                    lifetime_.guard([this, digests = place_digests_](const Status& status) {
                      static_cast<void>(digests);  // Held until now for the transport.
                      on_filled(status);
                    }));
  return true;
}

void PutTask::on_filled(const Status& status) {
  --slices_busy_;
  if (!drains_after(status)) {
    ask();
  }
}

std::optional<wire::AllocRequest::Ahead> PutTask::ahead_part() const {
  if (places_.empty()) {
    return std::nullopt;
  }
  wire::AllocRequest::Ahead ahead;
  for (const std::optional<Place>& place : places_) {
    ahead.pages.push_back(place.has_value() ? std::int64_t{place->page.page} : -1);
    ahead.generations.push_back(place.has_value() ? place->page.generation : 0);
  }
  if (place_digests_ != nullptr) {
    ahead.digests = *place_digests_;
  }
  return ahead;
}

void PutTask::spend_place(std::uint32_t index) {
  Place& place = *places_[index];
  if (!std::exchange(place.is_spent, true)) {
    stock_->spend(place.page);
  }
}

/// What was not committed: the chunk was there, or the put has failed. What is lent stays so until
/// its last MemoryObj is gone.
void PutTask::leave_places(bool has_failed) {
  for (const std::optional<Place>& place : places_) {
    if (!place.has_value() || place->is_spent) {
      continue;
    }
    if (has_failed) {
      stock_->give_up(place->page);
    } else if (!place->is_lent) {
      stock_->put_back(place->page);
    }
  }
  places_.clear();
  place_digests_.reset();
  stock_.reset();
}

}  // namespace baton::sender
