// What receivers say: Sender's half that hands messages to puts and requests.
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

void Sender::on_message(PeerLink& link, const wire::Message& message) {
  if (const auto* alloc = std::get_if<wire::AllocResponse>(&message)) {
    if (!alloc->baton.has_value()) {
      return;  // The answer to a CancelNotif.
    }
    const auto put = puts_.find(alloc->baton->put_id);
    if (put == puts_.end() || put->second->state() != PutTask::State::kAllocating) {
      drain_late(link, *alloc);
    } else {
      dispatch(link, alloc->baton->put_id, *alloc);
    }
  } else if (const auto* commit = std::get_if<wire::CommitResponse>(&message)) {
    dispatch(link, commit->put_id, *commit);
  } else if (const auto* update = std::get_if<wire::ChunkUpdate>(&message)) {
    const auto put = puts_.find(update->put_id);
    if (put == puts_.end() || put->second->state() >= PutTask::State::kSettled) {
      drain_late(link, *update);
    } else if (&put->second->link() == &link) {
      put->second->on_update(*update);
    }
  } else if (const auto* open = std::get_if<wire::OpenResponse>(&message)) {
    on_open_response(link, *open);
  } else if (std::holds_alternative<wire::DrainAck>(message)) {
    link.on_drain_ack();
  } else {
    log::limited_warning("receiver {} sent a {}, which has no business here",
                         link.address().alloc_endpoint, wire::type_name(message));
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
      drained.pages.push_back(static_cast<std::uint32_t>(response.remote_indexes[i]));
      drained.generations.push_back(said.generations[i]);
    }
  }
  if (!drained.pages.empty()) {
    link.send_drain(drained);
  }
}

void Sender::drain_late(PeerLink& link, const wire::ChunkUpdate& update) {
  wire::DrainNotif drained;
  drained.parties = link.parties();
  drained.put_id = update.put_id;
  for (std::size_t i = 0; i < update.states.size(); ++i) {
    if (update.states[i] == wire::KeyState::kGranted) {
      drained.pages.push_back(update.pages[i]);
      drained.generations.push_back(update.generations[i]);
    }
  }
  if (!drained.pages.empty()) {
    link.send_drain(drained);
  }
}

}  // namespace baton::sender
