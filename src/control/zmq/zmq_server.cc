#include "src/control/zmq/zmq_server.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "src/base/log.h"
#include "src/base/text.h"
#include "src/control/endpoint.h"
#include "src/control/recent_set.h"

namespace baton::control {

using zmq_detail::ConnectionWatch;
using zmq_detail::Message;
using zmq_detail::MessagePump;
using zmq_detail::SocketKind;

namespace {

// Identity, delimiter, payload: what a REQ, or a DEALER that poses as one, sends.
constexpr std::size_t kFrames = 3;

}  // namespace

/// Lets through to the handler what is well-formed and comes from who it says.
class ZmqServer::Gate {
 public:
  Gate(ZmqEnvironment& environment, Handler handler)
      : environment_(environment), handler_(std::move(handler)) {}

  void pass(const Message& message) {
    const std::string& from = message.frames[0];
    if (cut_off_.contains(entry(from, message.user))) {
      ++environment_.counters.cut_off_messages;
      return;
    }
    if (!environment_.guard.speaks_for(message.user, from)) {
      ++environment_.counters.stolen_identities;
      cut_off(from, message.user, "it uses the identity of another key");
      return;
    }
    if (message.frames.size() == kFrames && message.frames[1].empty()) {
      handler_(from, message.frames[2]);
      return;
    }
    ++environment_.counters.malformed_messages;
    if (message.frames.size() > kFrames) {
      // No mistake makes so many frames, and libzmq has stored all of them.
      cut_off(from, message.user, "it sends messages of too many frames");
    }
  }

  void cut_off(const Route& from, std::string_view user, std::string_view why) {
    cut_off_.insert(entry(from, user));
    environment_.guard.punish(user, environment_.reactor.now());
    log::limited_warning("cut off the peer {}{}{}: {}", quote(from),
                         user.empty() ? "" : " with key ", user, why);
  }

 private:
  // With the key: nobody can spoil a route that another key will use.
  static std::string entry(const Route& from, std::string_view user) {
    return fmt::format("{} {}", user, from);
  }

  ZmqEnvironment& environment_;
  Handler handler_;
  RecentSet cut_off_{kMaxCutOff};
};

StatusOr<std::unique_ptr<Server>> ZmqServer::bind(ZmqEnvironment& environment,
                                                  const std::string& endpoint, Handler handler) {
  auto socket = environment.open_bound(SocketKind::kRouter, KeyGuard::kServerDomain, endpoint);
  if (!socket.ok()) {
    return socket.status();
  }
  auto watch = environment.watch_strangers(*socket);
  if (!watch.ok()) {
    return watch.status();
  }
  std::string bound_endpoint = socket->last_endpoint();
  auto gate = std::make_shared<Gate>(environment, std::move(handler));
  auto pump =
      MessagePump::start(environment.reactor, *std::move(socket),
                         {.max_frames = kFrames + 1,
                          .on_message = [gate](const Message& message) { gate->pass(message); }});
  return std::unique_ptr<Server>(new ZmqServer(
      environment, std::move(bound_endpoint), std::move(gate), std::move(pump), *std::move(watch)));
}

ZmqServer::ZmqServer(ZmqEnvironment& environment, std::string endpoint, std::shared_ptr<Gate> gate,
                     std::shared_ptr<MessagePump> pump, std::unique_ptr<ConnectionWatch> watch)
    : environment_(environment),
      endpoint_(std::move(endpoint)),
      gate_(std::move(gate)),
      pump_(std::move(pump)),
      watch_(std::move(watch)) {}

ZmqServer::~ZmqServer() {
  pump_->socket().stop_monitor();
  pump_->stop();
}

Status ZmqServer::send(const Route& to, std::string_view payload) {
  if (Status valid = check_payload(payload.size(), environment_.options.max_message_bytes);
      !valid.ok()) {
    return valid;
  }
  const int error = pump_->send({to, {}, payload});
  if (error == 0) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(fmt::format(
      "{}: can't answer a peer: {}", endpoint_,
      error == EHOSTUNREACH ? "it is not connected" : "its queue is full; it doesn't read"));
}

void ZmqServer::cut_off(const Route& from) {
  gate_->cut_off(from, environment_.guard.user_of(from), "it sends rubbish");
}

}  // namespace baton::control
