#include "src/control/zmq/message_pump.h"

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

namespace baton::control::zmq_detail {

MessagePump::MessagePump(Reactor& reactor, Socket socket, PumpConfig config)
    : reactor_(reactor),
      socket_(std::move(socket)),
      fd_(socket_.fd()),
      config_(std::move(config)) {}

std::shared_ptr<MessagePump> MessagePump::start(Reactor& reactor, Socket socket,
                                                PumpConfig config) {
  std::shared_ptr<MessagePump> pump(new MessagePump(reactor, std::move(socket), std::move(config)));
  reactor.watch(pump->fd_, EPOLLIN, [weak = std::weak_ptr(pump)](std::uint32_t) {
    if (const auto self = weak.lock()) {
      self->take_turn();
    }
  });
  // Binding or connecting may have taken the descriptor's first edge.
  pump->schedule_turn();
  return pump;
}

void MessagePump::stop() {
  if (!stopped_) {
    stopped_ = true;
    reactor_.unwatch(fd_);
    socket_.close();
  }
}

int MessagePump::send(std::initializer_list<std::string_view> frames) {
  const int error = socket_.send(frames);
  send_blocked_ = send_blocked_ || error == EAGAIN;
  const Socket::Events events = socket_.events();
  if (events.readable || (send_blocked_ && events.writable)) {
    schedule_turn();
  }
  return error;
}

void MessagePump::schedule_turn() {
  if (std::exchange(turn_scheduled_, true)) {
    return;
  }
  reactor_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->turn_scheduled_ = false;
      self->take_turn();
    }
  });
}

void MessagePump::take_turn() {
  if (stopped_) {
    return;
  }
  if (socket_.events().readable) {
    read_messages();
  }
  if (stopped_ || !send_blocked_) {
    return;
  }
  const Socket::Events events = socket_.events();
  if (events.readable) {
    schedule_turn();
  }
  if (events.writable) {
    send_blocked_ = false;
    if (config_.on_writable) {
      config_.on_writable();
    }
  }
}

// Ends when the socket says that it has nothing, which renews the edge, or with another turn.
void MessagePump::read_messages() {
  for (int i = 0; i < kFramesPerTurn; ++i) {
    std::string frame;
    const Socket::Read read = socket_.receive_frame(frame, user_);
    if (read == Socket::Read::kNothing) {
      return;
    }
    if (frames_.size() < config_.max_frames) {
      frames_.push_back(std::move(frame));
    }
    if (read == Socket::Read::kLastFrame) {
      const auto frames = std::exchange(frames_, {});
      const std::string user = std::exchange(user_, {});
      config_.on_message({frames, user});
      if (stopped_) {
        return;
      }
    }
  }
  schedule_turn();
}

}  // namespace baton::control::zmq_detail
