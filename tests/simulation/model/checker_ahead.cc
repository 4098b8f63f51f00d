// What the messages say of pages ahead: Checker's half that listens for those.
#include <fmt/format.h>

#include "tests/simulation/model/checker.h"

namespace baton::simulation {

void Checker::see(const Envelope& /*from*/, const Epoch& sender,
                  const wire::AheadRequest& message) {
  asked_ahead_[{sender, message.sequence}].insert(message.parties.receiver_epoch);
  if (const auto receiver = receivers_.find(message.parties.receiver_epoch);
      receiver != receivers_.end()) {
    receiver->second->asked({sender, 0});
  }
}

void Checker::see(const Envelope& from, const Epoch& sender, const wire::AheadGrant& message) {
  PageModel* pages = pages_of(from.from);
  history_.note(from.from, "  grants {} pages ahead, question {}: code {} {}", message.pages.size(),
                message.sequence, message.code, message.message);
  if (pages == nullptr) {
    return;
  }
  pages->answered({sender, 0});
  if (message.code != 0) {
    return;
  }
  check_answer(from, asked_ahead_[{sender, message.sequence}], "a question for pages ahead");
  for (std::size_t i = 0; i < message.pages.size(); ++i) {
    pages->granted_ahead(sender, message.pages[i], message.generations[i]);
  }
}

void Checker::see_places(const PutName& put, PutSeen& seen, const wire::AllocRequest& message) {
  seen.places.clear();
  if (!message.ahead.has_value()) {
    return;
  }
  const wire::AllocRequest::Ahead& ahead = *message.ahead;
  PageModel& pages = *receivers_.at(message.baton->parties.receiver_epoch);
  for (std::size_t i = 0; i < ahead.pages.size(); ++i) {
    auto& place = seen.places.emplace_back();
    if (ahead.pages[i] < 0) {
      continue;
    }
    place = {static_cast<std::uint32_t>(ahead.pages[i]), ahead.generations[i]};
    std::optional<std::uint64_t> digest;
    if (!ahead.digests.empty()) {
      digest = ahead.digests[i];
    }
    pages.named_ahead(put, seen.keys[i], place->page, place->generation, digest);
  }
}

void Checker::see(const Envelope& from, const Epoch& sender, const wire::DrainRequest& message) {
  PageModel* pages = pages_of(from.from);
  if (message.put_id != 0 || pages == nullptr) {
    return;
  }
  history_.note(from.from, "  wants {} pages ahead back", message.pages.size());
  for (std::size_t i = 0; i < message.pages.size(); ++i) {
    pages->recalled(sender, message.pages[i], message.generations[i]);
  }
  if (!pages->somebody_waits()) {
    parked_[std::string(from.from)] = clock_.now();
  }
}

std::optional<Checker::PlaceName> Checker::lent(const Epoch& sender, const std::byte* memory) {
  for (const auto& [epoch, pages] : receivers_) {
    if (const auto page = pages->page_at(memory); page.has_value()) {
      const auto generation = pages->lent(sender, *page);
      return generation.has_value() ? std::optional<PlaceName>({epoch, *page, *generation})
                                    : std::nullopt;
    }
  }
  return std::nullopt;
}

bool Checker::reaches(const PlaceName& place) const {
  const auto receiver = receivers_.find(place.receiver);
  return receiver != receivers_.end() && receiver->second->reaches(place.generation);
}

void Checker::wrote(const Epoch& sender, const PlaceName& place, std::size_t bytes) {
  coverage_.hit(Point::kAheadWrittenInPlace);
  receivers_.at(place.receiver)
      ->landed({sender, place.receiver, place.page, place.generation, 0, bytes, false});
}

/// Nobody waited, and pages ahead were wanted back: for a put that was to be refused.
void Checker::count_parked(std::string_view receiver, PutSeen& seen) {
  const auto parked = parked_.find(receiver);
  if (!std::exchange(seen.answered, true) && !admitted_.contains(seen.attempt) &&
      parked != parked_.end() && parked->second > seen.asked && parked->second < clock_.now()) {
    coverage_.hit(Point::kParkedAdmitted);
    parked_.erase(parked);
  }
}

}  // namespace baton::simulation
