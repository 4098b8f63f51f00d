#include "src/control/inproc/inproc_network.h"

#include <utility>

#include "src/control/endpoint.h"
#include "src/control/inproc/inproc_ends.h"
#include "src/control/inproc/inproc_hub.h"

namespace baton::control {

InprocNetwork::InprocNetwork(Scheduler& scheduler, InprocOptions options)
    : hub_(std::make_shared<inproc::Hub>(scheduler, options)), process_(scheduler) {}

InprocNetwork::InprocNetwork(const InprocNetwork& shared, Scheduler& process, std::string name)
    : hub_(shared.hub_), process_(process), name_(std::move(name)) {}

InprocNetwork::~InprocNetwork() = default;

void InprocNetwork::set_filter(Filter filter) {
  hub_->set_filter(std::move(filter));
}

StatusOr<std::unique_ptr<Server>> InprocNetwork::bind_server(const std::string& endpoint,
                                                             Server::Handler handler) {
  auto name = hub_->free_name(endpoint);
  if (!name.ok()) {
    return name.status();
  }
  return std::make_unique<inproc::InprocServer>(hub_, inproc::Place{&process_, name_},
                                                *std::move(name), std::move(handler));
}

StatusOr<std::unique_ptr<Client>> InprocNetwork::connect_client(const std::string& endpoint,
                                                                const std::string& identity,
                                                                Client::Handler handler) {
  if (Status valid = check_identity(identity); !valid.ok()) {
    return valid;
  }
  if (endpoint.empty()) {
    return absl::InvalidArgumentError("an endpoint must not be empty");
  }
  return std::make_unique<inproc::InprocClient>(hub_, inproc::Place{&process_, name_}, endpoint,
                                                identity, std::move(handler));
}

StatusOr<std::unique_ptr<Push>> InprocNetwork::connect_push(const std::string& endpoint) {
  if (endpoint.empty()) {
    return absl::InvalidArgumentError("an endpoint must not be empty");
  }
  return std::make_unique<inproc::InprocPush>(hub_, inproc::Place{&process_, name_}, endpoint);
}

StatusOr<std::unique_ptr<Pull>> InprocNetwork::bind_pull(const std::string& endpoint,
                                                         Pull::Handler handler) {
  auto name = hub_->free_name(endpoint);
  if (!name.ok()) {
    return name.status();
  }
  return std::make_unique<inproc::InprocPull>(hub_, inproc::Place{&process_, name_},
                                              *std::move(name), std::move(handler));
}

}  // namespace baton::control
