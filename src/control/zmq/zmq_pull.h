// The PULL end. See zmq_network.h.
#pragma once

#include <memory>
#include <string>

#include "src/control/control.h"
#include "src/control/zmq/environment.h"
#include "src/control/zmq/message_pump.h"

namespace baton::control {

class ZmqPull final : public Pull {
 public:
  static StatusOr<std::unique_ptr<Pull>> bind(ZmqEnvironment& environment,
                                              const std::string& endpoint, Handler handler);
  ~ZmqPull() override;

  std::string endpoint() const override { return endpoint_; }

 private:
  ZmqPull(std::string endpoint, std::shared_ptr<zmq_detail::MessagePump> pump,
          std::unique_ptr<zmq_detail::ConnectionWatch> watch);

  const std::string endpoint_;
  const std::shared_ptr<zmq_detail::MessagePump> pump_;
  const std::unique_ptr<zmq_detail::ConnectionWatch> watch_;
};

}  // namespace baton::control
