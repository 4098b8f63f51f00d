#include "src/transport/tcp/acceptor.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "src/base/log.h"

namespace baton::transport::tcp {
namespace {

constexpr int kAcceptsPerTurn = 16;
// Out of descriptors or memory, the listener stays readable: look again after a while.
constexpr std::chrono::milliseconds kPause{100};

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

void send_answer(const UniqueFd& socket, Answer answer) {
  const AnswerBytes bytes = encode(answer);
  static_cast<void>(send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

Acceptor::Acceptor(Reactor& reactor, const TcpOptions& options, UniqueFd listener, TcpStats& stats,
                   Arrived arrived)
    : reactor_(reactor),
      options_(options),
      stats_(stats),
      arrived_(std::move(arrived)),
      listener_(reactor, std::move(listener), EPOLLIN, [this](std::uint32_t) { accept_some(); }) {}

Acceptor::~Acceptor() {
  reactor_.cancel(resume_timer_);
  for (const auto& [id, guest] : guests_) {
    reactor_.cancel(guest.timer);
  }
}

void Acceptor::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd socket(accept4(listener_.fd().get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      welcome(std::move(socket));
    } else if (is_shortage(errno)) {
      log::error("tcp: can't accept a connection: {}", std::strerror(errno));
      pause();
      return;
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return;  // EAGAIN: that was all. Errors of one connection are its own.
    }
  }
}

void Acceptor::pause() {
  listener_.want(0);
  resume_timer_ = reactor_.run_after(kPause, [this] { listener_.want(EPOLLIN); });
}

void Acceptor::welcome(UniqueFd socket) {
  if (guests_.size() >= options_.max_unauthenticated) {
    expire(guests_.begin()->first);
  }
  const GuestId id = next_guest_++;
  Guest& guest = guests_[id];
  guest.timer = reactor_.run_after(options_.hello_timeout, [this, id] { expire(id); });
  guest.socket = std::make_unique<WatchedSocket>(reactor_, std::move(socket), EPOLLIN,
                                                 [this, id](std::uint32_t) { read_hello(id); });
}

void Acceptor::expire(GuestId id) {
  ++stats_.expired_hellos;
  take(id);
}

Acceptor::Guest Acceptor::take(GuestId id) {
  Guest guest = std::move(guests_.extract(id).mapped());
  reactor_.cancel(guest.timer);
  return guest;
}

void Acceptor::read_hello(GuestId id) {
  Guest& guest = guests_.at(id);
  const auto got = guest.socket->receive(std::span(guest.hello).subspan(guest.received_bytes));
  if (!got.ok()) {
    take(id);
    return;
  }
  guest.received_bytes += *got;
  if (guest.received_bytes < guest.hello.size()) {
    return;
  }
  const Guest done = take(id);
  const auto hello = parse_hello(done.hello);
  if (hello.ok() && hello->version == kVersion) {
    arrived_(done.socket->release(), *hello);
    return;
  }
  ++stats_.rejected_hellos;
  log::info("tcp: refused a connection with a hello that makes no sense");
  if (hello.ok()) {
    send_answer(done.socket->fd(), Answer::kOtherVersion);
  }
}

}  // namespace baton::transport::tcp
