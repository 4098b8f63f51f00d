// What receivers say: Sender's half that hands messages to puts and requests.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "src/base/log.h"
#include "src/sender/sender.h"
#include "src/wire/codec.h"

namespace baton::sender {

template <typename Response>
void Sender::dispatch(PeerLink& link, std::uint64_t put_id, const Response& response) {
  const auto found = puts_.find(put_id);
  if (found != puts_.end() && &found->second->link() == &link) {
    found->second->on_response(response);
  }
}

void Sender::on_receiver_says(const Epoch& peer, std::string_view message) {
  const auto found = std::find_if(links_.begin(), links_.end(),
                                  [&](const auto& entry) { return entry.second->leads_to(peer); });
  if (found != links_.end()) {
    found->second->on_lane_message(message);
  }
}

void Sender::on_message(PeerLink& link, const wire::Message& message) {
  if (const auto* alloc = std::get_if<wire::AllocResponse>(&message)) {
    if (!alloc->baton.has_value() || ends_link(link, alloc->baton->code, alloc->baton->message)) {
      return;  // Without: the answer to a CancelNotif.
    }
    const auto put = puts_.find(alloc->baton->put_id);
    if (put == puts_.end() || put->second->state() == PutTask::State::kEnded) {
      drain_late(link, *alloc);
    } else {
      dispatch(link, alloc->baton->put_id, *alloc);
    }
  } else if (const auto* commit = std::get_if<wire::CommitResponse>(&message)) {
    if (!ends_link(link, commit->code, commit->message)) {
      dispatch(link, commit->put_id, *commit);
    }
  } else if (const auto* update = std::get_if<wire::ChunkUpdate>(&message)) {
    const auto put = puts_.find(update->put_id);
    if (put == puts_.end() || put->second->state() == PutTask::State::kEnded) {
      drain_late(link, *update);
    } else if (&put->second->link() == &link) {
      put->second->on_update(*update);
    }
  } else if (const auto* open = std::get_if<wire::OpenResponse>(&message)) {
    if (!ends_link(link, open->code, open->message)) {
      on_open_response(link, *open);
    }
  } else if (const auto* ack = std::get_if<wire::DrainAck>(&message)) {
    if (!ends_link(link, ack->code, ack->message)) {
      link.on_drain_ack(*ack);
    }
  } else if (const auto* read = std::get_if<wire::ReadResponse>(&message)) {
    if (!ends_link(link, read->code, read->message)) {
      on_read_response(link, *read);
    }
  } else if (const auto* released = std::get_if<wire::ReadReleaseAck>(&message)) {
    if (!ends_link(link, released->code, released->message)) {
      link.on_read_release_ack(*released);
    }
  } else if (const auto* alive = std::get_if<wire::HeartbeatAck>(&message)) {
    if (!ends_link(link, alive->code, alive->message)) {
      on_heartbeat_ack(link, *alive);
    }
  } else if (const auto* ahead = std::get_if<wire::AheadGrant>(&message)) {
    if (!ends_link(link, ahead->code, ahead->message)) {
      link.on_ahead_grant(*ahead);
    }
  } else if (const auto* drain = std::get_if<wire::DrainRequest>(&message)) {
    on_drain_request(link, *drain);
  } else if (const auto* ended = std::get_if<wire::EndNotif>(&message)) {
    on_end_notif(link, *ended);
  } else {
    log::limited_warning("receiver {} sent a {}, which has no business here",
                         link.address().alloc_endpoint, wire::type_name(message));
  }
}

bool Sender::ends_link(PeerLink& link, std::uint32_t code, const std::string& message) {
  if (static_cast<StatusCode>(code) != StatusCode::kUnavailable) {
    return false;
  }
  link.reset(absl::UnavailableError(
      fmt::format("receiver {} says: {}", link.address().alloc_endpoint, message)));
  return true;
}

std::vector<wire::AttemptName> Sender::list_requests(const PeerLink& link) const {
  std::vector<wire::AttemptName> living;
  for (const auto& [key, request] : requests_) {
    if (request.link == &link && request.opened_at == link.welcome().epoch &&
        request.failure.ok()) {
      living.push_back({key.req_id, key.attempt});
    }
  }
  return living;
}

void Sender::on_heartbeat_ack(const PeerLink& link, const wire::HeartbeatAck& ack) {
  for (const wire::AttemptName& unknown : ack.unknown) {
    const RequestKey key{unknown.req_id, unknown.attempt};
    // One that has not been answered yet may be on its way still: it is asked for again.
    if (const auto found = requests_.find(key); found != requests_.end() &&
                                                found->second.link == &link &&
                                                found->second.known_at == link.welcome().epoch) {
      fail_request(key, absl::AbortedError(fmt::format(
                            "receiver {} says that request {} (attempt {:x}) does not live there",
                            link.address().init_endpoint, key.req_id, key.attempt)));
    }
  }
}

void Sender::on_end_notif(const PeerLink& link, const wire::EndNotif& notif) {
  const RequestKey key{notif.req_id, notif.attempt};
  if (const auto found = requests_.find(key);
      found != requests_.end() && found->second.link == &link) {
    fail_request(
        key, Status(static_cast<StatusCode>(notif.code),
                    fmt::format("the receiver ended request {}: {}", notif.req_id, notif.message)));
  }
}

void Sender::on_drain_request(PeerLink& link, const wire::DrainRequest& request) {
  if (request.put_id == 0) {
    link.recall_ahead(request);
    return;
  }
  const auto put = puts_.find(request.put_id);
  if (put != puts_.end() && put->second->state() != PutTask::State::kEnded) {
    // It gives everything back when it has drained. That it had to be asked means that its request
    // has ended at the receiver.
    if (&put->second->link() == &link) {
      put->second->fail(absl::AbortedError(
          fmt::format("the receiver wants the pages of put {} back", request.put_id)));
    }
    return;
  }
  wire::DrainNotif drained{link.parties(), request.put_id, {}, {}, 0};
  for (std::size_t i = 0; i < request.pages.size(); ++i) {
    add_late(link, drained, request.pages[i], request.generations[i]);
  }
  send_late(link, std::move(drained));
}

/// A page ahead may be written to still, and goes back when it isn't: that is its stock's matter.
void Sender::add_late(const PeerLink& link, wire::DrainNotif& drained, std::uint32_t page,
                      std::uint64_t generation) {
  if (link.ahead() == nullptr || !link.ahead()->has({page, generation})) {
    drained.pages.push_back(page);
    drained.generations.push_back(generation);
  }
}

void Sender::send_late(PeerLink& link, wire::DrainNotif drained) {
  if (!drained.pages.empty()) {
    link.send_drain(std::move(drained));
  }
}

void Sender::drain_late(PeerLink& link, const wire::AllocResponse& response) {
  wire::DrainNotif drained;
  drained.parties = link.parties();
  drained.put_id = response.baton->put_id;
  const auto& said = *response.baton;
  for (std::size_t i = 0;
       i < said.states.size() && i < said.generations.size() && i < response.remote_indexes.size();
       ++i) {
    if (said.states[i] == wire::KeyState::kGranted && response.remote_indexes[i] >= 0) {
      add_late(link, drained, static_cast<std::uint32_t>(response.remote_indexes[i]),
               said.generations[i]);
    }
  }
  send_late(link, std::move(drained));
}

void Sender::drain_late(PeerLink& link, const wire::ChunkUpdate& update) {
  wire::DrainNotif drained;
  drained.parties = link.parties();
  drained.put_id = update.put_id;
  for (std::size_t i = 0; i < update.states.size(); ++i) {
    if (update.states[i] == wire::KeyState::kGranted) {
      add_late(link, drained, update.pages[i], update.generations[i]);
    }
  }
  send_late(link, std::move(drained));
}

}  // namespace baton::sender
