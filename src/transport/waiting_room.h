// Who has to go when too many wait at the door.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace baton::transport {

/// Guests who have not proven who they are, each from a source (an address, a process). Their ids
/// grow, so the lowest is the oldest. When the room is full, the most crowded source pays for the
/// newcomer: a flood from one source closes only its own.
///
/// Looks at every guest for a choice: for rooms of some dozens.
template <typename Source>
class WaitingRoom {
 public:
  using GuestId = std::uint64_t;

  std::size_t size() const { return guests_.size(); }

  GuestId enter(Source source) {
    guests_.emplace(next_, std::move(source));
    return next_++;
  }
  void leave(GuestId guest) { guests_.erase(guest); }

  /// The oldest guest of the source that has most. Nobody if the room is empty.
  std::optional<GuestId> who_has_to_go() const {
    std::map<Source, Crowd> crowds;
    for (const auto& [guest, source] : guests_) {
      Crowd& crowd = crowds.try_emplace(source, Crowd{.count = 0, .oldest = guest}).first->second;
      ++crowd.count;
    }
    const auto most = std::max_element(crowds.begin(), crowds.end(), [](const auto& a, auto& b) {
      // Among equals the one that waits longest.
      return std::pair(a.second.count, b.second.oldest) <
             std::pair(b.second.count, a.second.oldest);
    });
    return most == crowds.end() ? std::nullopt : std::optional(most->second.oldest);
  }

 private:
  struct Crowd {
    std::size_t count = 0;
    GuestId oldest = 0;
  };

  std::map<GuestId, Source> guests_;
  GuestId next_ = 0;
};

}  // namespace baton::transport
