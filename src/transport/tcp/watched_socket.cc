#include "src/transport/tcp/watched_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace baton::transport::tcp {
namespace {

StatusOr<std::size_t> result_of(ssize_t result, const char* call) {
  if (result >= 0) {
    return static_cast<std::size_t>(result);
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
    return 0;
  }
  return absl::UnavailableError(fmt::format("{}: {}", call, std::strerror(errno)));
}

}  // namespace

WatchedSocket::WatchedSocket(Reactor& reactor, UniqueFd fd, std::uint32_t events,
                             Reactor::Ready ready)
    : reactor_(reactor), fd_(std::move(fd)), events_(events) {
  reactor_.watch(fd_.get(), events_, std::move(ready));
}

void WatchedSocket::want(std::uint32_t events) {
  if (fd_ && events != events_) {
    events_ = events;
    reactor_.rewatch(fd_.get(), events);
  }
}

UniqueFd WatchedSocket::release() {
  if (fd_) {
    reactor_.unwatch(fd_.get());
  }
  return std::move(fd_);
}

void WatchedSocket::close() {
  release().reset();
}

StatusOr<std::size_t> WatchedSocket::receive(std::span<std::byte> into) {
  const ssize_t got = recv(fd_.get(), into.data(), into.size(), 0);
  if (got == 0 && !into.empty()) {
    return absl::UnavailableError(std::string("the peer closed the connection"));
  }
  return result_of(got, "recv");
}

StatusOr<std::size_t> WatchedSocket::send(std::span<const std::byte> from) {
  return result_of(::send(fd_.get(), from.data(), from.size(), MSG_NOSIGNAL), "send");
}

StatusOr<std::size_t> WatchedSocket::send(std::span<iovec> pieces) {
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  return result_of(sendmsg(fd_.get(), &message, MSG_NOSIGNAL), "sendmsg");
}

}  // namespace baton::transport::tcp
