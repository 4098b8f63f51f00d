// What the messages say of reads: Checker's half that listens for those.
#include <fmt/format.h>

#include "tests/simulation/model/checker.h"

namespace baton::simulation {

void Checker::see(const Envelope& /*from*/, const Epoch& sender, const wire::ReadRequest& message) {
  ReadSeen& seen = reads_[{sender, message.read_id}];
  seen.keys.assign(message.keys.begin(), message.keys.end());
  seen.addressed_to.insert(message.parties.receiver_epoch);
}

void Checker::see(const Envelope& from, const Epoch& sender, const wire::ReadResponse& message) {
  const auto seen = reads_.find({sender, message.read_id});
  PageModel* pages = pages_of(from.from);
  history_.note(from.from, "  read {}: code {} {}", message.read_id, message.code, message.message);
  if (message.code != 0) {
    coverage_.hit(Point::kReadRefused);
    return;
  }
  if (seen == reads_.end() || pages == nullptr) {
    broken(Promise::kP7,
           fmt::format("receiver {} answers a read that nobody asked for", from.from));
    return;
  }
  check_answer(from, seen->second.addressed_to, "a read");
  for (std::size_t i = 0; i < message.states.size() && i < seen->second.keys.size(); ++i) {
    if (message.states[i] == wire::ReadState::kHit) {
      pages->read_held(seen->first, seen->second.keys[i], message.pages[i], message.generations[i],
                       message.lengths[i], message.digests[i]);
    }
  }
}

void Checker::see(const Envelope& from, const Epoch& sender, const wire::ReadRelease& message) {
  history_.note(from.from, "  read {} is over", message.read_id);
  if (const auto receiver = receivers_.find(message.parties.receiver_epoch);
      receiver != receivers_.end()) {
    receiver->second->read_released({sender, message.read_id});
  }
}

}  // namespace baton::simulation
