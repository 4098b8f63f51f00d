#include "src/transport/ucx/line.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "src/transport/little_endian.h"
#include "src/transport/tcp/address.h"

namespace baton::transport::ucx {
namespace {

constexpr std::size_t kLengthBytes = 4;
/// The other side has one message to say, then heartbeats.
constexpr int kMaxReceivesPerTurn = 32;

}  // namespace

Line::Line(Reactor& reactor, const TcpOptions& options, UniqueFd socket,
           std::size_t max_message_bytes, Actions actions)
    : actions_(std::move(actions)),
      max_message_bytes_(max_message_bytes),
      socket_(reactor, std::move(socket), EPOLLIN,
              [this](std::uint32_t events) { on_ready(events); }),
      pulse_(reactor, options,
             {.beat = [this] { beat(); }, .give_up = [this](const Status& why) { end(why); }}) {
  tcp::tune(socket_.fd(), options);
}

void Line::send(std::string_view message) {
  push(message);
  pulse_.said();
  socket_.want(EPOLLIN | EPOLLOUT);
}

void Line::push(std::string_view message) {
  std::array<std::byte, kLengthBytes> length;
  store(length.data(), static_cast<std::uint32_t>(message.size()));
  unsent_.append(reinterpret_cast<const char*>(length.data()), length.size());
  unsent_ += message;
}

void Line::beat() {
  if (unsent_.empty()) {
    send({});  // A message of no bytes is a heartbeat.
  }
}

void Line::on_ready(std::uint32_t events) {
  Status status = (events & ~EPOLLOUT) != 0 ? read_messages() : absl::OkStatus();
  if (status.ok()) {
    status = write_unsent();
  }
  if (!status.ok()) {
    end(status);
  }
}

Status Line::read_messages() {
  for (int i = 0; i < kMaxReceivesPerTurn; ++i) {
    const auto wanted = wanted_bytes();
    if (!wanted.ok()) {
      return wanted.status();
    }
    incoming_.resize(std::max(incoming_.size(), *wanted));
    const auto got = socket_.receive(std::as_writable_bytes(std::span(incoming_))
                                         .subspan(incoming_bytes_, *wanted - incoming_bytes_));
    if (!got.ok() || *got == 0) {
      return got.status();
    }
    pulse_.heard();
    incoming_bytes_ += *got;
    if (Status taken = take(); !taken.ok()) {
      return taken;
    }
  }
  return absl::OkStatus();
}

/// Of the message that is arriving, with its length: first that, then the rest.
StatusOr<std::size_t> Line::wanted_bytes() const {
  if (incoming_bytes_ < kLengthBytes) {
    return kLengthBytes;
  }
  const std::size_t bytes =
      load<std::uint32_t>(reinterpret_cast<const std::byte*>(incoming_.data()));
  if (bytes > max_message_bytes_) {
    return absl::DataLossError(
        fmt::format("a message of {} bytes on the line; at most {} are "
                    "allowed",
                    bytes, max_message_bytes_));
  }
  return kLengthBytes + bytes;
}

/// If it is whole. One of no bytes is a heartbeat.
Status Line::take() {
  const auto wanted = wanted_bytes();
  if (!wanted.ok() || incoming_bytes_ < *wanted) {
    return wanted.status();
  }
  const std::size_t had_bytes = std::exchange(incoming_bytes_, 0);
  if (had_bytes == kLengthBytes) {
    return absl::OkStatus();
  }
  return actions_.receive(
      std::string_view(incoming_).substr(kLengthBytes, had_bytes - kLengthBytes));
}

Status Line::write_unsent() {
  if (!unsent_.empty()) {
    const auto sent = socket_.send(std::as_bytes(std::span(unsent_)));
    if (!sent.ok()) {
      return sent.status();
    }
    unsent_.erase(0, *sent);
  }
  socket_.want(unsent_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
  return absl::OkStatus();
}

void Line::end(const Status& why) {
  socket_.close();
  auto ended = std::move(actions_.end);
  ended(why);
}

}  // namespace baton::transport::ucx
