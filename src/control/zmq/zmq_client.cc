#include "src/control/zmq/zmq_client.h"

#include <fmt/format.h>

#include <utility>

#include "src/control/endpoint.h"

namespace baton::control {

using zmq_detail::ConnectionEvent;
using zmq_detail::ConnectionWatch;
using zmq_detail::Message;
using zmq_detail::MessagePump;
using zmq_detail::SocketKind;

StatusOr<std::unique_ptr<Client>> ZmqClient::connect(ZmqEnvironment& environment,
                                                     const std::string& endpoint,
                                                     const std::string& identity, Handler handler) {
  auto socket =
      environment.open_client(SocketKind::kDealer, security::KeyRole::kReceiver, endpoint);
  if (!socket.ok()) {
    return socket.status();
  }
  if (Status named = socket->set_identity(identity); !named.ok()) {
    return named;
  }
  const auto trouble = std::make_shared<std::string>();
  const bool with_keys = environment.has_keys(security::KeyRole::kReceiver);
  auto watch = ConnectionWatch::start(
      environment.context, environment.reactor, *socket,
      [trouble, with_keys](ConnectionEvent event) {
        // That a connection ends tells nothing new: the reason came before.
        if (event != ConnectionEvent::kEnded && event != ConnectionEvent::kOther) {
          *trouble = zmq_detail::trouble_text(event, with_keys);
        }
      });
  if (!watch.ok()) {
    return watch.status();
  }
  if (Status connected = socket->connect(endpoint); !connected.ok()) {
    socket->stop_monitor();
    return connected;
  }
  auto pump = MessagePump::start(
      environment.reactor, *std::move(socket),
      {.on_message = [handler = std::move(handler),
                      &counters = environment.counters](const Message& message) mutable {
        const auto frames = message.frames;
        if (frames.size() == 2 && frames[0].empty()) {  // delimiter, payload
          handler(frames[1]);
        } else {
          ++counters.malformed_messages;
        }
      }});
  return std::unique_ptr<Client>(
      new ZmqClient(environment.options, endpoint, std::move(pump), *std::move(watch), trouble));
}

ZmqClient::ZmqClient(const ZmqOptions& options, std::string endpoint,
                     std::shared_ptr<MessagePump> pump, std::unique_ptr<ConnectionWatch> watch,
                     std::shared_ptr<const std::string> trouble)
    : max_message_bytes_(options.max_message_bytes),
      hwm_(options.hwm),
      endpoint_(std::move(endpoint)),
      pump_(std::move(pump)),
      watch_(std::move(watch)),
      trouble_(std::move(trouble)) {}

ZmqClient::~ZmqClient() {
  pump_->socket().stop_monitor();
  pump_->stop();
}

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
