#include "src/transport/ucx/line.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <array>
#include <span>
#include <utility>

#include "src/transport/little_endian.h"
#include "src/transport/tcp/address.h"
#include "src/transport/ucx/sealing.h"

namespace baton::transport::ucx {
namespace {

constexpr std::size_t kLengthBytes = 4;
/// Messages a turn: the other side has one to say, then heartbeats.
constexpr int kMaxMessagesPerTurn = 16;

}  // namespace

Line::Line(Reactor& reactor, const TcpOptions& options, UniqueFd socket, Actions actions)
    : actions_(std::move(actions)),
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
  for (int i = 0; i < kMaxMessagesPerTurn;) {
    std::size_t wanted_bytes = kLengthBytes;
    if (incoming_.size() >= kLengthBytes) {
      wanted_bytes += load<std::uint32_t>(reinterpret_cast<const std::byte*>(incoming_.data()));
    }
    if (wanted_bytes > kLengthBytes + kMaxSealedBytes) {
      return absl::DataLossError(fmt::format("a message of {} bytes; at most {} are allowed",
                                             wanted_bytes - kLengthBytes, kMaxSealedBytes));
    }
    if (incoming_.size() == wanted_bytes) {
      if (Status taken = take(std::string_view(incoming_).substr(kLengthBytes)); !taken.ok()) {
        return taken;
      }
      incoming_.clear();
      ++i;
      continue;
    }
    const std::size_t had_bytes = incoming_.size();
    incoming_.resize(wanted_bytes);
    const auto got =
        socket_.receive(std::as_writable_bytes(std::span(incoming_)).subspan(had_bytes));
    incoming_.resize(had_bytes + got.value_or(0));
    if (!got.ok() || *got == 0) {
      return got.status();
    }
    pulse_.heard();
  }
  return absl::OkStatus();
}

Status Line::take(std::string_view message) {
  return message.empty() ? absl::OkStatus() : actions_.receive(message);
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
