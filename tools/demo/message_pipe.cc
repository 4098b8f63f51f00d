#include "tools/demo/message_pipe.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace baton::demo {
namespace {

/// All processes here read at once what they get: one that doesn't is stuck.
constexpr timeval kSendLimit{.tv_sec = 30, .tv_usec = 0};

Status gone() {
  return absl::UnavailableError(std::string("the other process is gone"));
}

}  // namespace

MessagePipe::MessagePipe(UniqueFd socket) : socket_(std::move(socket)) {
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendLimit, sizeof kSendLimit);
}

Status MessagePipe::send(const Message& message) {
  const std::string line = encode(message);
  const MutexLock lock(send_mutex_);
  std::string_view left = line;
  while (!left.empty()) {
    const ssize_t sent = ::send(socket_.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent < 0) {
      return gone();
    }
    left.remove_prefix(static_cast<std::size_t>(sent));
  }
  return absl::OkStatus();
}

Status MessagePipe::wait_readable(Clock::time_point deadline, int interrupt_fd) const {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      return absl::DeadlineExceededError(std::string("no answer in time"));
    }
    std::array<pollfd, 2> fds = {pollfd{socket_.get(), POLLIN, 0}, pollfd{interrupt_fd, POLLIN, 0}};
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(left));
    if (ready < 0 && errno != EINTR) {
      return absl::InternalError(fmt::format("poll: {}", std::strerror(errno)));
    }
    if (ready > 0) {
      return fds[1].revents != 0 ? absl::CancelledError(std::string("interrupted"))
                                 : absl::OkStatus();
    }
  }
}

StatusOr<Message> MessagePipe::receive(Clock::time_point deadline, int interrupt_fd) {
  std::array<char, 65536> bytes;
  while (true) {
    if (auto line = lines_.next()) {
      return decode(*line);
    }
    if (Status ready = wait_readable(deadline, interrupt_fd); !ready.ok()) {
      return ready;
    }
    const ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return gone();
    }
    if (!lines_.append({bytes.data(), static_cast<std::size_t>(count)})) {
      return absl::DataLossError(
          fmt::format("a line of more than {} bytes from another process", kMaxLineBytes));
    }
  }
}

}  // namespace baton::demo
