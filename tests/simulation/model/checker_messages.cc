// What the messages say: Checker's half that listens to the network.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "src/wire/codec.h"
#include "tests/simulation/model/checker.h"

namespace baton::simulation {
namespace {

constexpr auto kExhausted = static_cast<std::uint32_t>(StatusCode::kResourceExhausted);
constexpr auto kDeadline = static_cast<std::uint32_t>(StatusCode::kDeadlineExceeded);

}  // namespace

/// A sender's socket names its epoch: "baton-<hex>-…".
Epoch Checker::sender_of(const Envelope& envelope) const {
  if (envelope.kind == Envelope::Kind::kToPull) {
    return alive_.find(envelope.from)->second;
  }
  return by_hex_.find(envelope.client.substr(6, 32))->second;  // "baton-<hex>-…"
}

PageModel* Checker::pages_of(std::string_view receiver_name) {
  const auto epoch = alive_.find(receiver_name);
  const auto found = epoch == alive_.end() ? receivers_.end() : receivers_.find(epoch->second);
  return found == receivers_.end() ? nullptr : found->second.get();
}

void Checker::message_sent(const control::Envelope& envelope) {
  const auto message = wire::decode(envelope.payload, wire::Limits{});
  if (!message.ok()) {
    broken(Promise::kP7, fmt::format("{} sent nonsense: {}", envelope.from,
                                     std::string(message.status().message())));
    return;
  }
  history_.note(envelope.from, "-> {} {}", envelope.to, wire::type_name(*message));
  const Epoch sender = sender_of(envelope);
  std::visit([&](const auto& typed) { see(envelope, sender, typed); }, *message);
}

template <typename Other>
void Checker::see(const Envelope& /*from*/, const Epoch& /*sender*/, const Other& /*message*/) {}

/// P7: a receiver says yes only to what was meant for this incarnation of it.
void Checker::check_answer(const Envelope& from, const std::set<Epoch>& addressed_to,
                           std::string_view what) {
  if (!addressed_to.contains(alive_.find(from.from)->second)) {
    broken(Promise::kP7,
           fmt::format("receiver {} accepts {}, meant for its former self", from.from, what));
  }
}

// ---- opening -----------------------------------------------------------------------------------

void Checker::see(const Envelope& /*from*/, const Epoch& /*sender*/,
                  const wire::NixlInitRequest& /*message*/) {
  coverage_.hit(Point::kHandshake);
}

void Checker::see(const Envelope& /*from*/, const Epoch& /*sender*/,
                  const wire::NixlInitResponse& message) {
  const auto inner = wire::decode(message.baton.value_or(""), wire::Limits{});
  if (inner.ok() && std::holds_alternative<wire::Refusal>(*inner)) {
    coverage_.hit(Point::kHandshakeRetried);
  }
}

void Checker::see(const Envelope& /*from*/, const Epoch& sender, const wire::OpenRequest& message) {
  opening_[{sender, message.req_id, message.attempt}] =
      message.keys.empty() ? message.total_chunks : static_cast<std::uint32_t>(message.keys.size());
}

void Checker::see(const Envelope& from, const Epoch& sender, const wire::OpenResponse& message) {
  const AttemptName name{sender, message.req_id, message.attempt};
  history_.note(from.from, "  request {}/{}: code {} {}", message.req_id, message.attempt,
                message.code, message.message);
  if (message.code == 0) {
    if (PageModel* pages = pages_of(from.from)) {
      pages->admitted();
    }
    Admitted admitted;
    admitted.pages = opening_[name];
    admitted.receiver = alive_.find(from.from)->second;
    admitted_[name] = admitted;
    if (watches_ranks_) {
      note_admission(name);
    }
  } else {
    coverage_.hit(message.code == kDeadline ? Point::kOpenTimedOut : Point::kOpenRefused);
  }
}

// ---- puts --------------------------------------------------------------------------------------

void Checker::see(const Envelope& from, const Epoch& sender, const wire::AllocRequest& message) {
  history_.note(from.from, "  put {} asks for {} pages{}", message.baton->put_id,
                message.keys.size(), message.ahead.has_value() ? ", and lies in pages ahead" : "");
  PutSeen& seen = puts_[{sender, message.baton->put_id}];
  if (!seen.addressed_to.empty() &&
      !seen.addressed_to.contains(message.baton->parties.receiver_epoch)) {
    coverage_.hit(Point::kPutRestarted);
  }
  if (seen.keys.empty()) {
    seen.asked = clock_.now();
  }
  seen.keys.assign(message.keys.begin(), message.keys.end());
  seen.attempt = {sender, message.async->req_id, message.baton->attempt};
  seen.addressed_to.insert(message.baton->parties.receiver_epoch);
  if (const auto receiver = receivers_.find(message.baton->parties.receiver_epoch);
      receiver != receivers_.end()) {
    receiver->second->asked({sender, message.baton->put_id});
    if (message.eager.has_value()) {
      receiver->second->eager_asked(message.keys);
    }
    see_places({sender, message.baton->put_id}, seen, message);
  }
  notices_.attempt(sender, message.async->req_id, message.baton->attempt)
      .receivers.insert(message.baton->parties.receiver_epoch);
}

void Checker::see(const Envelope& from, const Epoch& sender, const wire::AllocResponse& message) {
  if (!message.baton.has_value()) {
    return;
  }
  const auto& said = *message.baton;
  const PutName put{sender, said.put_id};
  const auto seen = puts_.find(put);
  PageModel* pages = pages_of(from.from);
  if (seen == puts_.end() || pages == nullptr) {
    return;
  }
  history_.note(from.from, "  put {} of {}: code {} {}", said.put_id, seen->second.attempt.req_id,
                said.code, said.message);
  if (std::ranges::find(said.states, wire::KeyState::kInFlight) == said.states.end()) {
    pages->answered(put);
  }
  if (said.code != 0) {
    coverage_.hit(Point::kPutRefused);
    const auto admitted = admitted_.find(seen->second.attempt);
    if (said.code == kExhausted && admitted != admitted_.end() &&
        admitted->second.receiver == alive_.find(from.from)->second) {
      broken(Promise::kP4, fmt::format("request {} was admitted, but its put gets no pages: {}",
                                       seen->second.attempt.req_id, said.message));
    }
    return;
  }
  check_answer(from, seen->second.addressed_to, "a put");
  count_parked(from.from, seen->second);
  if (!admitted_.contains(seen->second.attempt)) {
    coverage_.hit(Point::kOpenedByPut);
  }
  for (std::size_t i = 0; i < said.states.size() && i < seen->second.keys.size(); ++i) {
    if (said.states[i] == wire::KeyState::kPlaced) {
      pages->replaced(seen->second.keys[i], said.generations[i]);
    }
  }
  for (std::size_t i = 0; i < said.states.size() && i < seen->second.keys.size(); ++i) {
    const auto& places = seen->second.places;
    if (i < places.size() && places[i].has_value() &&
        (said.states[i] == wire::KeyState::kCommitted ||
         said.states[i] == wire::KeyState::kInFlight)) {
      pages->left_ahead(put, places[i]->page, places[i]->generation);
    }
    switch (said.states[i]) {
      case wire::KeyState::kGranted:
        pages->granted(put, seen->second.keys[i],
                       static_cast<std::uint32_t>(message.remote_indexes[i]), said.generations[i]);
        break;
      case wire::KeyState::kCommitted:
        coverage_.hit(Point::kHit);
        break;
      case wire::KeyState::kInFlight:
        coverage_.hit(Point::kInFlight);
        break;
      case wire::KeyState::kPlaced:
        coverage_.hit(Point::kPlaced);
        pages->placed(put, seen->second.keys[i],
                      static_cast<std::uint32_t>(message.remote_indexes[i]), said.generations[i]);
        break;
    }
  }
}

void Checker::see(const Envelope& from, const Epoch& sender, const wire::ChunkUpdate& message) {
  const PutName put{sender, message.put_id};
  const auto seen = puts_.find(put);
  PageModel* pages = pages_of(from.from);
  if (seen == puts_.end() || pages == nullptr) {
    return;
  }
  for (std::size_t i = 0; i < message.key_indexes.size(); ++i) {
    if (message.states[i] == wire::KeyState::kGranted) {
      coverage_.hit(Point::kTakeOver);
      pages->granted(put, seen->second.keys.at(message.key_indexes[i]), message.pages[i],
                     message.generations[i]);
    } else {
      coverage_.hit(Point::kAwaitedCommitted);
    }
  }
}

// ---- commits and drains ------------------------------------------------------------------------

void Checker::see(const Envelope& from, const Epoch& sender, const wire::CommitRequest& message) {
  commits_[{sender, message.parties.receiver_epoch, message.put_id, message.slice}] = message;
  const auto receiver = receivers_.find(message.parties.receiver_epoch);
  for (std::size_t i = 0; receiver != receivers_.end() && i < message.pages.size(); ++i) {
    std::optional<std::uint64_t> digest;
    if (i < message.digests.size()) {
      digest = message.digests[i];
    }
    receiver->second->commit_asked({sender, message.put_id}, message.pages[i],
                                   message.generations[i], digest);
  }
  history_.note(from.from, "  put {} commits {} pages", message.put_id, message.pages.size());
}

void Checker::see(const Envelope& from, const Epoch& sender, const wire::CommitResponse& message) {
  const auto asked =
      commits_.find({sender, alive_.find(from.from)->second, message.put_id, message.slice});
  PageModel* pages = pages_of(from.from);
  history_.note(from.from, "  put {} slice {}: code {} {}", message.put_id, message.slice,
                message.code, message.message);
  if (message.code != 0) {
    coverage_.hit(Point::kCommitRefused);
    return;
  }
  if (asked == commits_.end() || pages == nullptr) {
    broken(
        Promise::kP7,
        fmt::format("receiver {} commits what nobody has asked this incarnation for", from.from));
    return;
  }
  for (std::size_t i = 0; i < asked->second.pages.size(); ++i) {
    coverage_.hit(Point::kCommitted);
    pages->commit_said({sender, message.put_id}, asked->second.pages[i],
                       asked->second.generations[i]);
  }
}

void Checker::see(const Envelope& /*from*/, const Epoch& sender, const wire::DrainNotif& message) {
  coverage_.hit(Point::kDrained);
  const auto receiver = receivers_.find(message.parties.receiver_epoch);
  for (std::size_t i = 0; receiver != receivers_.end() && i < message.pages.size(); ++i) {
    receiver->second->drain_said({sender, message.put_id}, message.pages[i],
                                 message.generations[i]);
  }
}

void Checker::see(const Envelope& /*from*/, const Epoch& /*sender*/, const wire::DrainAck& ack) {
  if (ack.code == 0) {
    coverage_.hit(Point::kDrainAcknowledged);
  }
}

void Checker::see(const Envelope& /*from*/, const Epoch& /*sender*/,
                  const wire::CancelNotif& /*message*/) {
  coverage_.hit(Point::kCancelled);
}

void Checker::see(const Envelope& /*from*/, const Epoch& /*sender*/,
                  const wire::ReleaseNotif& /*message*/) {
  coverage_.hit(Point::kReleased);
}

void Checker::see(const Envelope& from, const Epoch& sender, const wire::EndNotif& message) {
  coverage_.hit(Point::kEndedByReceiver);
  history_.note(from.from, "  has ended {}/{}: {}", message.req_id, message.attempt,
                message.message);
  notices_.attempt(sender, message.req_id, message.attempt).disturbed = true;
}

void Checker::see(const Envelope& from, const Epoch& /*sender*/, const wire::GroupNotif& message) {
  static constexpr Point kPoints[] = {
      Point::kGroupOpened,    Point::kGroupReserve,  Point::kGroupReserved, Point::kGroupRefused,
      Point::kGroupWithdrawn, Point::kGroupAdmitted, Point::kGroupEnded};
  coverage_.hit(kPoints[static_cast<std::size_t>(message.word)]);
  history_.note(from.from, "  group: {}/{} word {} round {}", message.attempt.req_id,
                message.attempt.attempt, static_cast<int>(message.word), message.round);
  if (message.word == wire::GroupWord::kEnded) {
    notices_.disturb_request(message.attempt.req_id);
  }
}

void Checker::see(const Envelope& /*from*/, const Epoch& sender,
                  const wire::HeartbeatAck& message) {
  coverage_.hit(Point::kHeartbeat);
  for (const wire::AttemptName& unknown : message.unknown) {
    coverage_.hit(Point::kUnknownToReceiver);
    notices_.attempt(sender, unknown.req_id, unknown.attempt).disturbed = true;
  }
}

void Checker::see(const Envelope& /*from*/, const Epoch& sender, const wire::FailNotif& message) {
  coverage_.hit(Point::kFailureTold);
  notices_.attempt(sender, message.req_id, message.attempt).failure_told = true;
}

// ---- the word to the proxy ---------------------------------------------------------------------

void Checker::see(const Envelope& from, const Epoch& sender, const wire::ProxyNotif& message) {
  coverage_.hit(Point::kNotified);
  history_.note(from.from, "  tells the proxy of {}", message.req_id);
  const AttemptSeen* attempt = notices_.notified(sender, message.req_id);
  if (attempt == nullptr) {
    broken(Promise::kP2,
           fmt::format("sender {} tells the proxy of request {}, which has no attempt "
                       "that is complete and untold",
                       from.from, message.req_id));
    return;
  }
  for (const std::string& key : attempt->keys) {
    bool disturbed = attempt->disturbed;
    bool was_there = false;
    bool is_there = false;
    bool alive = false;
    for (const Epoch& epoch : attempt->receivers) {
      if (const auto receiver = receivers_.find(epoch); receiver != receivers_.end()) {
        alive = true;
        disturbed |= recently_crashed(receiver->second->group());
        was_there |= receiver->second->was_visible(key);
        is_there |= receiver->second->visible(key);
      }
    }
    if (alive && (disturbed ? !was_there : !is_there)) {
      broken(Promise::kP2,
             fmt::format("sender {} tells the proxy of request {}, but chunk {} is not "
                         "committed",
                         from.from, message.req_id, key));
    }
  }
}

}  // namespace baton::simulation
