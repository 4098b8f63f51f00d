#include "src/control/zmq/zmq_network.h"

#include <utility>

#include "src/control/endpoint.h"
#include "src/control/zmq/environment.h"
#include "src/control/zmq/zmq_client.h"
#include "src/control/zmq/zmq_pull.h"
#include "src/control/zmq/zmq_push.h"
#include "src/control/zmq/zmq_server.h"

namespace baton::control {

ZmqNetwork::ZmqNetwork(Reactor& reactor, ZmqOptions options)
    : environment_(std::make_unique<ZmqEnvironment>(reactor, std::move(options))) {}

ZmqNetwork::~ZmqNetwork() = default;

const ZmqCounters& ZmqNetwork::counters() const {
  return environment_->counters;
}

StatusOr<std::unique_ptr<Server>> ZmqNetwork::bind_server(const std::string& endpoint,
                                                          Server::Handler handler) {
  if (Status valid = check_endpoint(endpoint, EndpointUse::kBind); !valid.ok()) {
    return valid;
  }
  return ZmqServer::bind(*environment_, endpoint, std::move(handler));
}

StatusOr<std::unique_ptr<Client>> ZmqNetwork::connect_client(const std::string& endpoint,
                                                             const std::string& identity,
                                                             Client::Handler handler) {
  if (Status valid = check_endpoint(endpoint, EndpointUse::kConnect); !valid.ok()) {
    return valid;
  }
  if (Status valid = check_identity(identity); !valid.ok()) {
    return valid;
  }
  return ZmqClient::connect(*environment_, endpoint, identity, std::move(handler));
}

StatusOr<std::unique_ptr<Push>> ZmqNetwork::connect_push(const std::string& endpoint) {
  if (Status valid = check_endpoint(endpoint, EndpointUse::kConnect); !valid.ok()) {
    return valid;
  }
  return ZmqPush::connect(*environment_, endpoint);
}

StatusOr<std::unique_ptr<Pull>> ZmqNetwork::bind_pull(const std::string& endpoint,
                                                      Pull::Handler handler) {
  if (Status valid = check_endpoint(endpoint, EndpointUse::kBind); !valid.ok()) {
    return valid;
  }
  return ZmqPull::bind(*environment_, endpoint, std::move(handler));
}

}  // namespace baton::control
