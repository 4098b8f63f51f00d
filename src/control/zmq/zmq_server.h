// The ROUTER end. See zmq_network.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "src/control/control.h"
#include "src/control/zmq/environment.h"
#include "src/control/zmq/message_pump.h"

namespace baton::control {

class ZmqServer final : public Server {
 public:
  static StatusOr<std::unique_ptr<Server>> bind(ZmqEnvironment& environment,
                                                const std::string& endpoint, Handler handler);
  ~ZmqServer() override;

  Status send(const Route& to, std::string_view payload) override;
  void cut_off(const Route& from) override;
  std::string endpoint() const override { return endpoint_; }

 private:
  class Gate;
  ZmqServer(ZmqEnvironment& environment, std::string endpoint, std::shared_ptr<Gate> gate,
            std::shared_ptr<zmq_detail::MessagePump> pump,
            std::unique_ptr<zmq_detail::ConnectionWatch> watch);

  ZmqEnvironment& environment_;
  const std::string endpoint_;
  const std::shared_ptr<Gate> gate_;  // the pump's callback holds it too: it may outlive this
  const std::shared_ptr<zmq_detail::MessagePump> pump_;
  const std::unique_ptr<zmq_detail::ConnectionWatch> watch_;
};

}  // namespace baton::control
