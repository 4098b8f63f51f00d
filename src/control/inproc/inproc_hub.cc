#include "src/control/inproc/inproc_hub.h"

#include <fmt/format.h>

#include <utility>

#include "src/control/endpoint.h"

namespace baton::control::inproc {
namespace {

/// One message, shared by its copies under way; gives its place in the queue back at the end.
class Parcel {
 public:
  Parcel(std::shared_ptr<SendQueue> queue, std::string_view payload,
         absl::AnyInvocable<void(std::string_view)> deliver)
      : queue_(std::move(queue)), payload_(payload), deliver_(std::move(deliver)) {
    ++queue_->in_flight;
  }
  ~Parcel() {
    --queue_->in_flight;
    if (std::exchange(queue_->blocked, false) && queue_->on_room) {
      queue_->on_room();
    }
  }
  Parcel(const Parcel&) = delete;
  Parcel& operator=(const Parcel&) = delete;

  void deliver() { deliver_(payload_); }

 private:
  const std::shared_ptr<SendQueue> queue_;
  const std::string payload_;
  absl::AnyInvocable<void(std::string_view)> deliver_;
};

template <typename State>
void forget_expired(std::vector<std::weak_ptr<State>>& states) {
  std::erase_if(states, [](const std::weak_ptr<State>& state) { return state.expired(); });
}

}  // namespace

StatusOr<std::string> Hub::free_name(const std::string& wanted) {
  if (wanted.empty()) {
    return absl::InvalidArgumentError("an endpoint must not be empty");
  }
  std::string name = wanted;
  if (name.ends_with(":0") || name.ends_with(":*")) {
    name = fmt::format("{}:{}", name.substr(0, name.size() - 2), next_port_++);
  }
  if (servers_.contains(name) || pulls_.contains(name)) {
    return absl::UnavailableError(fmt::format("can't bind {}: Address already in use", name));
  }
  return name;
}

void Hub::add(const std::shared_ptr<ServerState>& server) {
  servers_[server->endpoint] = server;
  for (const auto& weak : clients_) {
    if (const auto client = weak.lock(); client && client->endpoint == server->endpoint) {
      post_connect(client);
    }
  }
}

void Hub::add(const std::shared_ptr<ClientState>& client) {
  forget_expired(clients_);
  clients_.push_back(client);
  post_connect(client);
}

void Hub::add(const std::shared_ptr<PullState>& pull) {
  pulls_[pull->endpoint] = pull;
  for (const auto& weak : pushes_) {
    if (const auto push = weak.lock(); push && push->endpoint == pull->endpoint) {
      post_connect(push);
    }
  }
}

void Hub::add(const std::shared_ptr<PushState>& push) {
  forget_expired(pushes_);
  pushes_.push_back(push);
  push->to_pull->on_room = [this_weak = weak_from_this(), push_weak = std::weak_ptr(push)] {
    if (const auto hub = this_weak.lock()) {
      hub->post_writable(push_weak);
    }
  };
  post_connect(push);
}

void Hub::remove(const ServerState& server) {
  servers_.erase(server.endpoint);
}

void Hub::remove(const PullState& pull) {
  pulls_.erase(pull.endpoint);
  for (const auto& weak : pushes_) {
    if (const auto push = weak.lock(); push && push->pull.lock().get() == &pull) {
      push->pull.reset();
      ++push->incarnation;
    }
  }
}

template <typename State>
void Hub::post_connect(const std::shared_ptr<State>& state) {
  scheduler_.post([hub_weak = weak_from_this(), state_weak = std::weak_ptr(state)] {
    const auto hub = hub_weak.lock();
    const auto alive = state_weak.lock();
    if (hub && alive) {
      hub->connect(alive);
    }
  });
}

void Hub::connect(const std::shared_ptr<ClientState>& client) {
  const auto found = servers_.find(client->endpoint);
  if (found == servers_.end() || !client->server.expired()) {
    return;
  }
  const auto server = found->second.lock();
  std::erase_if(server->routes, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<ClientState>& route = server->routes[client->identity];
  if (!route.expired()) {
    return;  // The identity is taken: this client goes unheard.
  }
  route = client;
  client->server = server;
  for (const std::string& payload : std::exchange(client->waiting, {})) {
    carry_to_server(*client, server, payload);
  }
}

void Hub::connect(const std::shared_ptr<PushState>& push) {
  const auto found = pulls_.find(push->endpoint);
  if (found != pulls_.end() && push->pull.expired()) {
    push->pull = found->second;
    post_writable(push);
  }
}

Status Hub::admit(SendQueue& queue, std::size_t waiting, std::string_view payload,
                  std::string_view endpoint) const {
  if (Status valid = check_payload(payload.size(), options_.max_message_bytes); !valid.ok()) {
    return valid;
  }
  if (queue.in_flight + waiting >= options_.hwm) {
    queue.blocked = true;
    return absl::UnavailableError(
        fmt::format("the queue at {} is full ({} messages)", endpoint, options_.hwm));
  }
  return absl::OkStatus();
}

Status Hub::send_to_server(ClientState& client, std::string_view payload) {
  if (Status admitted = admit(*client.to_server, client.waiting.size(), payload, client.endpoint);
      !admitted.ok()) {
    return admitted;
  }
  if (const auto server = client.server.lock()) {
    carry_to_server(client, server, payload);
  } else {
    client.waiting.emplace_back(payload);
  }
  return absl::OkStatus();
}

void Hub::carry_to_server(ClientState& client, const std::shared_ptr<ServerState>& server,
                          std::string_view payload) {
  carry({Envelope::Kind::kToServer, client.endpoint, client.identity, client.place.name,
         server->place.name, payload},
        client.to_server, server,
        [weak = std::weak_ptr(server), from = client.identity](std::string_view arrived) {
          if (const auto alive = weak.lock(); alive && !alive->cut_off.contains(from)) {
            alive->handler(from, arrived);
          }
        });
}

Status Hub::send_to_client(ServerState& server, const Route& to, std::string_view payload) {
  const auto route = server.routes.find(to);
  const auto client = route == server.routes.end() ? nullptr : route->second.lock();
  if (client == nullptr) {
    return absl::UnavailableError(
        fmt::format("{}: can't answer a peer: it is not connected", server.endpoint));
  }
  if (Status admitted = admit(*client->from_server, 0, payload, server.endpoint); !admitted.ok()) {
    return admitted;
  }
  carry({Envelope::Kind::kToClient, server.endpoint, to, server.place.name, client->place.name,
         payload},
        client->from_server, client, [weak = std::weak_ptr(client)](std::string_view arrived) {
          if (const auto alive = weak.lock()) {
            alive->handler(arrived);
          }
        });
  return absl::OkStatus();
}

Status Hub::send_to_pull(PushState& push, std::string_view payload) {
  const auto pull = push.pull.lock();
  if (pull == nullptr) {
    return absl::UnavailableError(fmt::format("no connection to the proxy at {}", push.endpoint));
  }
  if (Status admitted = admit(*push.to_pull, 0, payload, push.endpoint); !admitted.ok()) {
    return admitted;
  }
  carry({Envelope::Kind::kToPull, push.endpoint, {}, push.place.name, pull->place.name, payload},
        push.to_pull, pull, [weak = std::weak_ptr(pull)](std::string_view arrived) {
          if (const auto alive = weak.lock()) {
            alive->handler(arrived);
          }
        });
  return absl::OkStatus();
}

template <typename State>
void Hub::carry(const Envelope& envelope, const std::shared_ptr<SendQueue>& queue,
                const std::shared_ptr<State>& target, Deliver deliver) {
  const std::vector<Duration> copies =
      filter_ ? filter_(envelope) : std::vector<Duration>{Duration::zero()};
  const auto parcel = std::make_shared<Parcel>(queue, envelope.payload, std::move(deliver));
  for (const Duration delay : copies) {
    // The network's time passes on the hub's scheduler; then the message waits for its process.
    Task arrive = [network = &scheduler_, parcel, weak = std::weak_ptr(target)] {
      const auto alive = weak.lock();
      if (alive == nullptr || alive->place.process == network) {
        parcel->deliver();
      } else {
        alive->place.process->post([parcel] { parcel->deliver(); });
      }
    };
    if (delay == Duration::zero()) {
      scheduler_.post(std::move(arrive));
    } else {
      scheduler_.run_after(delay, std::move(arrive));
    }
  }
}

void Hub::post_writable(const std::weak_ptr<PushState>& weak) {
  if (const auto push = weak.lock()) {
    push->place.process->post([weak] {
      if (const auto alive = weak.lock()) {
        tell_writable(alive);
      }
    });
  }
}

void Hub::tell_writable(const std::shared_ptr<PushState>& push) {
  if (push->pull.expired() || !push->writable) {
    return;
  }
  Push::Writable writable = std::exchange(push->writable, nullptr);
  writable();
  if (!push->writable) {
    push->writable = std::move(writable);
  }
}

}  // namespace baton::control::inproc
