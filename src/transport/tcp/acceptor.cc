#include "src/transport/tcp/acceptor.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
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

Acceptor::Acceptor(Reactor& reactor, const TcpOptions& options, UniqueFd listener, TcpStats& stats,
                   Doorkeeper& keeper)
    : reactor_(reactor),
      options_(options),
      stats_(stats),
      keeper_(keeper),
      listener_(reactor, std::move(listener), EPOLLIN, [this](std::uint32_t) { accept_some(); }) {}

Acceptor::~Acceptor() {
  reactor_.cancel(resume_timer_);
  for (const auto& [id, guest] : guests_) {
    reactor_.cancel(guest.timer);
  }
}

void Acceptor::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    Accepted accepted = accept_from(listener_.fd());
    if (accepted.socket) {
      welcome(std::move(accepted.socket), std::move(accepted.source));
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

void Acceptor::welcome(UniqueFd socket, std::string source) {
  const GuestId id = room_.enter(std::move(source));
  Guest& guest = guests_[id];
  guest.timer = reactor_.run_after(options_.opening_timeout, [this, id] { expire(id); });
  guest.socket = std::make_unique<WatchedSocket>(reactor_, std::move(socket), EPOLLIN,
                                                 [this, id](std::uint32_t) { on_ready(id); });
  if (room_.size() > options_.max_unproven) {
    expire(*room_.who_has_to_go());
  }
}

void Acceptor::expire(GuestId id) {
  ++stats_.expired_openings;
  take(id);
}

Acceptor::Guest Acceptor::take(GuestId id) {
  room_.leave(id);
  Guest guest = std::move(guests_.extract(id).mapped());
  reactor_.cancel(guest.timer);
  return guest;
}

void Acceptor::on_ready(GuestId id) {
  Guest& guest = guests_.at(id);
  const std::size_t wanted_bytes = guest.hello ? sizeof(ProofBytes) : sizeof(HelloBytes);
  const auto got = guest.socket->receive(
      std::span(guest.received).first(wanted_bytes).subspan(guest.received_bytes));
  if (!got.ok()) {
    take(id);
    return;
  }
  guest.received_bytes += *got;
  if (guest.received_bytes < wanted_bytes) {
    return;
  }
  guest.received_bytes = 0;
  if (guest.hello) {
    take_proof(id);
  } else {
    take_hello(id);
  }
}

void Acceptor::take_hello(GuestId id) {
  const auto hello = parse_hello(guests_.at(id).received);
  if (!hello.ok()) {
    refuse(id, {});
  } else if (hello->version != kVersion) {
    refuse(id, encode(Challenge{.same_version = false}));
  } else {
    challenge(id, *hello);
  }
}

void Acceptor::challenge(GuestId id, const Hello& hello) {
  Guest& guest = guests_.at(id);
  guest.hello = hello;
  guest.nonce = random_nonce();
  const Proof proof = make_proof(keeper_.secret_for(hello), ProofRole::kReceiver,
                                 proof_context(hello, guest.nonce));
  const ChallengeBytes bytes = encode(Challenge{.nonce = guest.nonce, .proof = proof});
  const auto sent = guest.socket->send(bytes);
  // The socket is fresh: a kernel that does not take this much is out of memory.
  if (!sent.ok() || *sent != bytes.size()) {
    take(id);
  }
}

bool Acceptor::is_proven(const Guest& guest) const {
  ProofBytes bytes;
  std::copy_n(guest.received.begin(), bytes.size(), bytes.begin());
  const auto proof = parse_proof(bytes);
  // The secret of now: a ticket that ended since the challenge opens nothing.
  return proof.ok() && proof_is_right(*proof, keeper_.secret_for(*guest.hello), ProofRole::kSender,
                                      proof_context(*guest.hello, guest.nonce));
}

void Acceptor::take_proof(GuestId id) {
  if (!is_proven(guests_.at(id)) || !keeper_.fits(*guests_.at(id).hello)) {
    refuse(id, encode(Verdict::kRefused));
    return;
  }
  const Guest guest = take(id);
  ++stats_.accepted_streams;
  // Fresh, too; and if it can't be sent, the stream's end will show.
  guest.socket->send(encode(Verdict::kAccepted)).IgnoreError();
  keeper_.take_in(guest.socket->release(), *guest.hello);
}

void Acceptor::refuse(GuestId id, std::span<const std::byte> last_words) {
  const Guest guest = take(id);
  ++stats_.rejected_openings;
  log::info("tcp: refused a connection that calls itself peer {}",
            guest.hello ? guest.hello->sender.brief() : "(no hello)");
  if (!last_words.empty()) {
    guest.socket->send(last_words).IgnoreError();
  }
}

}  // namespace baton::transport::tcp
