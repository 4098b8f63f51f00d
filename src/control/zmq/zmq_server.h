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
  ~ZmqServer() override { pump_->stop(); }

  Status send(const Route& to, std::string_view payload) override;
  std::string endpoint() const override { return endpoint_; }

 private:
  ZmqServer(std::size_t max_message_bytes, std::string endpoint,
            std::shared_ptr<zmq_detail::MessagePump> pump);

  const std::size_t max_message_bytes_;
  const std::string endpoint_;
  const std::shared_ptr<zmq_detail::MessagePump> pump_;
};

}  // namespace baton::control
