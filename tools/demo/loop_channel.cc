#include "tools/demo/loop_channel.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace baton::demo {

LoopChannel::LoopChannel(Reactor& reactor, UniqueFd socket, OnMessage on_message, OnEnd on_end)
    : reactor_(reactor),
      socket_(std::move(socket)),
      on_message_(std::move(on_message)),
      on_end_(std::move(on_end)) {
  reactor_.watch(socket_.get(), EPOLLIN, [this](std::uint32_t events) { on_ready(events); });
}

LoopChannel::~LoopChannel() {
  if (!ended_) {
    reactor_.unwatch(socket_.get());
  }
}

void LoopChannel::send(const Message& message) {
  if (ended_) {
    return;  // on_end_ has told already.
  }
  const bool was_empty = unsent_.empty();
  unsent_ += encode(message);
  if (was_empty) {
    write_some();
  }
}

void LoopChannel::on_ready(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    write_some();
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    read_some();
  }
}

void LoopChannel::write_some() {
  while (!unsent_.empty()) {
    const ssize_t sent =
        ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent < 0) {
      break;  // Full, or broken: then reading finds the end of the stream.
    }
    unsent_.erase(0, static_cast<std::size_t>(sent));
  }
  reactor_.rewatch(socket_.get(), unsent_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

void LoopChannel::read_some() {
  std::array<char, 65536> bytes;
  const ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (count <= 0) {
    end(absl::UnavailableError(std::string("it ended")));
    return;
  }
  if (!lines_.append({bytes.data(), static_cast<std::size_t>(count)})) {
    end(absl::DataLossError(fmt::format("it sent a line of more than {} bytes", kMaxLineBytes)));
    return;
  }
  while (auto line = lines_.next()) {
    auto message = decode(*line);
    if (!message.ok()) {
      end(message.status());
      return;
    }
    on_message_(*std::move(message));
  }
}

void LoopChannel::end(const Status& why) {
  ended_ = true;
  reactor_.unwatch(socket_.get());
  on_end_(why);
}

}  // namespace baton::demo
