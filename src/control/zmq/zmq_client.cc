#include "src/control/zmq/zmq_client.h"

#include <fmt/format.h>

#include <span>
#include <utility>

#include "src/control/endpoint.h"

namespace baton::control {

using zmq_detail::MessagePump;
using zmq_detail::Socket;
using zmq_detail::SocketKind;

StatusOr<std::unique_ptr<Client>> ZmqClient::connect(ZmqEnvironment& environment,
                                                     const std::string& endpoint,
                                                     const std::string& identity, Handler handler) {
  auto socket = Socket::open(environment.context, SocketKind::kDealer, environment.options);
  if (!socket.ok()) {
    return socket.status();
  }
  if (Status named = socket->set_identity(identity); !named.ok()) {
    return named;
  }
  if (Status connected = socket->connect(endpoint); !connected.ok()) {
    return connected;
  }
  auto pump =
      MessagePump::start(environment.reactor, *std::move(socket),
                         [handler = std::move(handler), &counters = environment.counters](
                             std::span<const std::string> frames) mutable {
                           if (frames.size() == 2 && frames[0].empty()) {  // delimiter, payload
                             handler(frames[1]);
                           } else {
                             ++counters.malformed_messages;
                           }
                         });
  return std::unique_ptr<Client>(new ZmqClient(environment.options, endpoint, std::move(pump)));
}

ZmqClient::ZmqClient(const ZmqOptions& options, std::string endpoint,
                     std::shared_ptr<MessagePump> pump)
    : max_message_bytes_(options.max_message_bytes),
      hwm_(options.hwm),
      endpoint_(std::move(endpoint)),
      pump_(std::move(pump)) {}

Status ZmqClient::send(std::string_view payload) {
  if (Status valid = check_payload(payload.size(), max_message_bytes_); !valid.ok()) {
    return valid;
  }
  if (pump_->send({{}, payload}) != 0) {
    return absl::UnavailableError(fmt::format(
        "the queue to {} is full ({} messages): it is down or doesn't keep up", endpoint_, hwm_));
  }
  return absl::OkStatus();
}

}  // namespace baton::control
