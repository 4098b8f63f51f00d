#include "src/control/zmq/zap_handler.h"

#include <utility>

#include "src/base/log.h"

namespace baton::control {
namespace {

constexpr const char* kEndpoint = "inproc://zeromq.zap.01";
constexpr std::string_view kVersion = "1.0";

// A question's frames; the identity (6) is the asking server's own, not the peer's.
enum Frame : std::size_t {
  kRoute = 0,
  kDelimiter = 1,
  kVersionFrame = 2,
  kRequestId = 3,
  kDomain = 4,
  kAddress = 5,
  kMechanism = 7,
  kKey = 8,
  kFrames = 9,
};

}  // namespace

StatusOr<std::unique_ptr<ZapHandler>> ZapHandler::start(zmq_detail::Context& context,
                                                        Reactor& reactor, const ZmqOptions& options,
                                                        KeyGuard& guard, ZmqCounters& counters) {
  auto socket = zmq_detail::Socket::open(context, zmq_detail::SocketKind::kRouter, options);
  if (!socket.ok()) {
    return socket.status();
  }
  if (Status bound = socket->bind(kEndpoint); !bound.ok()) {
    return bound;
  }
  std::unique_ptr<ZapHandler> handler(new ZapHandler(reactor, guard, counters));
  handler->pump_ = zmq_detail::MessagePump::start(
      reactor, *std::move(socket),
      {.max_frames = kFrames, .on_message = [self = handler.get()](const auto& message) {
         self->answer(message.frames);
       }});
  return handler;
}

void ZapHandler::answer(std::span<const std::string> question) {
  if (question.size() < kFrames) {
    return;  // libzmq never asks so; who is not answered is not admitted.
  }
  const std::string& key = question[kKey];
  KeyGuard::Verdict verdict{.why = "it does not use CURVE"};
  if (question[kVersionFrame] == kVersion && question[kMechanism] == "CURVE") {
    verdict = guard_.admit({reinterpret_cast<const std::uint8_t*>(key.data()), key.size()},
                           question[kDomain], reactor_.now());
  }
  if (!verdict.admitted) {
    ++counters_.refused_keys;
    log::limited_warning("refused a peer at {}: {}", question[kAddress], verdict.why);
  }
  const int error = pump_->send({question[kRoute],
                                 {},
                                 kVersion,
                                 question[kRequestId],
                                 verdict.admitted ? "200" : "400",
                                 verdict.admitted ? "OK" : "refused",
                                 verdict.user,
                                 {}});
  if (error != 0) {
    log::debug("the peer at {} was gone before it was admitted", question[kAddress]);
  }
}

}  // namespace baton::control
