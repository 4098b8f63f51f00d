// The DEALER end. See zmq_network.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "src/control/control.h"
#include "src/control/zmq/environment.h"
#include "src/control/zmq/message_pump.h"

namespace baton::control {

class ZmqClient final : public Client {
 public:
  static StatusOr<std::unique_ptr<Client>> connect(ZmqEnvironment& environment,
                                                   const std::string& endpoint,
                                                   const std::string& identity, Handler handler);
  ~ZmqClient() override;

  Status send(std::string_view payload) override;
  std::string trouble() const override;

 private:
  struct FirstConnection;
  ZmqClient(const ZmqOptions& options, std::string endpoint,
            std::shared_ptr<zmq_detail::MessagePump> pump,
            std::shared_ptr<FirstConnection> first_connection);

  const std::size_t max_message_bytes_;
  const int hwm_;
  const std::string endpoint_;
  const std::shared_ptr<zmq_detail::MessagePump> pump_;
  const std::shared_ptr<FirstConnection> first_connection_;
};

}  // namespace baton::control
