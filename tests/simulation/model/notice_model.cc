#include "tests/simulation/model/notice_model.h"

#include <algorithm>

namespace baton::simulation {

AttemptSeen& NoticeModel::attempt(const Epoch& sender, const std::string& req_id,
                                  std::uint64_t attempt) {
  std::vector<AttemptSeen>& attempts = requests_[{sender, req_id}];
  const auto found = std::ranges::find(attempts, attempt, &AttemptSeen::attempt);
  if (found != attempts.end()) {
    return *found;
  }
  attempts.emplace_back().attempt = attempt;
  return attempts.back();
}

AttemptSeen* NoticeModel::notified(const Epoch& sender, const std::string& req_id) {
  const auto found = requests_.find({sender, req_id});
  if (found == requests_.end()) {
    return nullptr;
  }
  for (AttemptSeen& seen : found->second) {
    if (seen.sealed && !seen.failed && !seen.notified) {
      seen.notified = true;
      return &seen;
    }
  }
  return nullptr;
}

void NoticeModel::disturb(const Epoch& sender, const Epoch& receiver) {
  for (auto& [name, attempts] : requests_) {
    if (name.sender != sender) {
      continue;
    }
    for (AttemptSeen& seen : attempts) {
      seen.disturbed |= seen.receivers.contains(receiver);
    }
  }
}

void NoticeModel::disturb_request(const std::string& req_id) {
  for (auto& [name, attempts] : requests_) {
    if (name.req_id == req_id) {
      for (AttemptSeen& seen : attempts) {
        seen.disturbed = true;
      }
    }
  }
}

}  // namespace baton::simulation
