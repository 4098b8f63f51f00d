#include "tools/bench/json_pipe.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>

namespace baton::bench {

bool JsonPipe::send(const Json& value) {
  const std::string line = value.dump() + "\n";
  std::string_view left = line;
  while (!left.empty()) {
    const ssize_t sent = ::send(socket_.get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent < 0) {
      return false;
    }
    left.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

Json JsonPipe::receive(Clock::time_point deadline, int interrupt_fd, End& end) {
  std::array<char, 65536> bytes;
  end = End::kNone;
  while (true) {
    if (const auto line = lines_.next()) {
      return Json::parse(*line);  // of our own making: what it throws ends the run
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      end = End::kTimeout;
      return {};
    }
    std::array<pollfd, 2> fds = {pollfd{socket_.get(), POLLIN, 0}, pollfd{interrupt_fd, POLLIN, 0}};
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(left));
    if (ready > 0 && fds[1].revents != 0) {
      end = End::kInterrupted;
      return {};
    }
    if (ready <= 0) {
      continue;  // the time is looked at again
    }
    const ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0 || !lines_.append({bytes.data(), static_cast<std::size_t>(count)})) {
      end = End::kPeerGone;
      return {};
    }
  }
}

}  // namespace baton::bench
