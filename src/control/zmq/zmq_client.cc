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

/// Watches until the first connection is there: a watch costs two sockets.
struct ZmqClient::FirstConnection {
  std::unique_ptr<ConnectionWatch> watch;
  std::shared_ptr<MessagePump> pump;
  std::string trouble;

  void on_event(ConnectionEvent event, bool with_keys) {
    // That a connection ends tells nothing new: the reason came before.
    if (event != ConnectionEvent::kEnded && event != ConnectionEvent::kOther) {
      trouble = zmq_detail::trouble_text(event, with_keys);
    }
    if (event == ConnectionEvent::kReady) {
      end_watch();
    }
  }
  void end_watch() {
    if (watch != nullptr) {
      pump->socket().stop_monitor();
      watch.reset();
    }
  }
};

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
  const auto first = std::make_shared<FirstConnection>();
  const bool with_keys = environment.has_keys(security::KeyRole::kReceiver);
  auto watch =
      ConnectionWatch::start(environment.context, environment.reactor, *socket,
                             [weak = std::weak_ptr(first), with_keys](ConnectionEvent event) {
                               if (const auto self = weak.lock()) {
                                 self->on_event(event, with_keys);
                               }
                             });
  if (!watch.ok()) {
    return watch.status();
  }
  if (Status connected = socket->connect(endpoint); !connected.ok()) {
    socket->stop_monitor();
    return connected;
  }
  first->watch = *std::move(watch);
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
  first->pump = pump;
  return std::unique_ptr<Client>(
      new ZmqClient(environment.options, endpoint, std::move(pump), first));
}

ZmqClient::ZmqClient(const ZmqOptions& options, std::string endpoint,
                     std::shared_ptr<MessagePump> pump,
                     std::shared_ptr<FirstConnection> first_connection)
    : max_message_bytes_(options.max_message_bytes),
      hwm_(options.hwm),
      endpoint_(std::move(endpoint)),
      pump_(std::move(pump)),
      first_connection_(std::move(first_connection)) {}

ZmqClient::~ZmqClient() {
  first_connection_->end_watch();
  pump_->stop();
}

std::string ZmqClient::trouble() const {
  return first_connection_->trouble;
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
