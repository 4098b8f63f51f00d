#include "src/control/zmq/connection_watch.h"

#include <utility>

namespace baton::control::zmq_detail {

StatusOr<std::unique_ptr<ConnectionWatch>> ConnectionWatch::start(Context& context,
                                                                  Reactor& reactor, Socket& watched,
                                                                  OnEvent on_event) {
  auto monitor = watched.open_monitor(context);
  if (!monitor.ok()) {
    return monitor.status();
  }
  auto pump = MessagePump::start(
      reactor, *std::move(monitor),
      {.on_message = [on_event = std::move(on_event)](const Message& message) mutable {
        on_event(connection_event(message.frames.front()));
      }});
  return std::unique_ptr<ConnectionWatch>(new ConnectionWatch(std::move(pump)));
}

std::string trouble_text(ConnectionEvent event, bool with_keys) {
  switch (event) {
    case ConnectionEvent::kKeyRefused:
      return "it refused this process's key: the key is missing in its pd_peer_keys_file, has "
             "another role there, or was cut off for a while";
    case ConnectionEvent::kOtherSecurity:
      return with_keys ? "it does not use keys, but this process does (pd_security: curve)"
                       : "it uses keys, but this process does not (pd_security: none)";
    // Who sees first that the securities differ hangs up; then this is all that the other sees.
    case ConnectionEvent::kHandshakeBroken:
      return with_keys ? "it hung up during the exchange of keys: probably its public key in this "
                         "process's pd_peer_keys_file is not the one it has, or it uses no keys, "
                         "but this process does (pd_security: curve)"
                       : "it hung up before it had introduced itself: probably it uses keys, but "
                         "this process does not (pd_security: none), or it is no Baton process";
    case ConnectionEvent::kReady:
    case ConnectionEvent::kEnded:
    case ConnectionEvent::kOther:
      break;
  }
  return {};
}

}  // namespace baton::control::zmq_detail
