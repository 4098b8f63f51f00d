#include "src/control/inproc/inproc_ends.h"

namespace baton::control::inproc {

InprocServer::InprocServer(std::shared_ptr<Hub> hub, Place place, std::string endpoint,
                           Handler handler)
    : hub_(std::move(hub)), state_(std::make_shared<ServerState>()) {
  state_->place = std::move(place);
  state_->endpoint = std::move(endpoint);
  state_->handler = std::move(handler);
  hub_->add(state_);
}

InprocClient::InprocClient(std::shared_ptr<Hub> hub, Place place, std::string endpoint,
                           std::string identity, Handler handler)
    : hub_(std::move(hub)), state_(std::make_shared<ClientState>()) {
  state_->place = std::move(place);
  state_->endpoint = std::move(endpoint);
  state_->identity = std::move(identity);
  state_->handler = std::move(handler);
  hub_->add(state_);
}

InprocPull::InprocPull(std::shared_ptr<Hub> hub, Place place, std::string endpoint, Handler handler)
    : hub_(std::move(hub)), state_(std::make_shared<PullState>()) {
  state_->place = std::move(place);
  state_->endpoint = std::move(endpoint);
  state_->handler = std::move(handler);
  hub_->add(state_);
}

InprocPush::InprocPush(std::shared_ptr<Hub> hub, Place place, std::string endpoint)
    : hub_(std::move(hub)), state_(std::make_shared<PushState>()) {
  state_->place = std::move(place);
  state_->endpoint = std::move(endpoint);
  hub_->add(state_);
}

void InprocPush::set_writable(Writable writable) {
  state_->writable = std::move(writable);
  state_->place.process->post([weak = std::weak_ptr(state_)] {
    if (const auto push = weak.lock()) {
      Hub::tell_writable(push);
    }
  });
}

}  // namespace baton::control::inproc
