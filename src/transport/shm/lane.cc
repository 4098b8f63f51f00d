#include "src/transport/shm/lane.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "src/transport/shm/packet_socket.h"

namespace baton::transport::shm {

Status Lane::send(std::string_view message) {
  if (message.empty() || message.size() > max_message_bytes_) {
    return absl::InvalidArgumentError(fmt::format(
        "shm: a message has {} bytes; 1 to {} are allowed", message.size(), max_message_bytes_));
  }
  if (!socket_) {
    return absl::UnavailableError("shm: the connection is gone");
  }
  if (waiting_bytes_ >= max_message_bytes_) {
    return absl::UnavailableError(fmt::format(
        "shm: {} bytes of messages wait already: the peer doesn't read them", waiting_bytes_));
  }
  if (!std::exchange(has_room_, true)) {
    make_room_for_bulk(socket_.get());
  }
  std::size_t sent_bytes = 0;
  if (waiting_.empty()) {
    // Mostly all of it finds room, and needs no copy.
    const auto sent = send_parts(message);
    if (!sent.ok()) {
      return sent.status();
    }
    sent_bytes = *sent;
  }
  if (sent_bytes < message.size()) {
    waiting_.emplace_back(message.substr(sent_bytes));
    waiting_bytes_ += message.size() - sent_bytes;
    want_room();
  }
  return absl::OkStatus();
}

void Lane::flush() {
  while (!waiting_.empty()) {
    const auto sent = send_parts(waiting_.front());
    if (!sent.ok()) {
      return;  // A connection that is gone says so to whoever reads from it.
    }
    waiting_bytes_ -= *sent;
    if (*sent < waiting_.front().size()) {
      waiting_.front().erase(0, *sent);
      break;
    }
    waiting_.pop_front();
  }
  want_room();
}

StatusOr<std::size_t> Lane::send_parts(std::string_view message) {
  std::size_t sent_bytes = 0;
  while (sent_bytes < message.size()) {
    const std::string_view rest = message.substr(sent_bytes);
    const std::string_view part = rest.substr(0, kMaxMessagePartBytes);
    const auto left_bytes = static_cast<std::uint32_t>(rest.size() - part.size());
    const auto sent = send_bulk(socket_.get(), encode_message_head(left_bytes), part);
    if (!sent.ok()) {
      return sent.status();
    }
    if (!*sent) {
      break;
    }
    sent_bytes += part.size();
  }
  return sent_bytes;
}

void Lane::want_room() {
  if (socket_.watched()) {
    socket_.rewatch_on_loop(waiting_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
  }
}

StatusOr<std::optional<std::string>> Lane::take(const MessagePart& part) {
  const std::size_t total_bytes = part.bytes.size() + part.left_bytes;
  const bool follows = expected_bytes_ > 0;
  if (follows ? total_bytes != expected_bytes_ : total_bytes > max_message_bytes_) {
    return absl::DataLossError(fmt::format(
        "shm: the peer broke the rules: a part of {} bytes with {} to follow, where {} {} expected",
        part.bytes.size(), part.left_bytes, follows ? expected_bytes_ : max_message_bytes_,
        follows ? "in all were" : "are the most that is"));
  }
  expected_bytes_ = part.left_bytes;
  incoming_.append(part.bytes);  // Grows by what is there, not by what is claimed.
  if (expected_bytes_ > 0) {
    return std::optional<std::string>();
  }
  return std::optional(std::exchange(incoming_, {}));
}

}  // namespace baton::transport::shm
