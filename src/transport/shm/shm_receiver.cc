#include "src/transport/shm/shm_receiver.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/log.h"

namespace baton::transport::shm {
namespace {

/// Mappings of one peer that may wait for proof at once: one that connects and dies without a word
/// again and again must not pile them up.
constexpr std::size_t kMaxLinksPerPeer = 8;

}  // namespace

ShmReceiver::ShmReceiver(Reactor& reactor, const PeerId& self, const RegisteredBuffer& buffer,
                         const ListenerLimits& limits, std::size_t max_message_bytes,
                         ObserverPost& observer)
    : reactor_(reactor),
      self_(self),
      buffer_(buffer),
      limits_(limits),
      max_message_bytes_(max_message_bytes),
      observer_(observer) {}

Status ShmReceiver::open_listener() {
  if (listener_ == nullptr) {
    auto listener = ShmListener::open_on_loop(reactor_, limits_, *this, counters_);
    if (!listener.ok()) {
      return listener.status();
    }
    listener_ = *std::move(listener);
  }
  return absl::OkStatus();
}

StatusOr<std::string> ShmReceiver::expect_peer(const PeerId& peer) {
  if (Status open = open_listener(); !open.ok()) {
    return open;
  }
  Writer& writer = writers_[peer];
  if (!writer.fences.empty()) {
    return absl::FailedPreconditionError(fmt::format(
        "shm: writer {} is being revoked; expect it again after its fence", peer.brief()));
  }
  writer.secret = Secret::random();
  writer.secret_in_use = false;
  return encode_ticket({.receiver = self_,
                        .page_bytes = buffer_.page_bytes(),
                        .page_count = buffer_.page_count(),
                        .socket_id = listener_->socket_id(),
                        .secret = writer.secret});
}

Status ShmReceiver::tell(const PeerId& peer, std::string_view message) {
  const auto found = writers_.find(peer);
  if (found == writers_.end() || found->second.current == nullptr) {
    return absl::UnavailableError(fmt::format("shm: writer {} is not connected", peer.brief()));
  }
  return found->second.current->tell_on_loop(message);
}

void ShmReceiver::on_writer_says(WriterLink& link, std::string message) {
  // What a superseded connection still says is heard by nobody.
  if (writers_.at(link.peer()).current == &link) {
    observer_.writer_says(link.peer(), std::move(message));
  }
}

void ShmReceiver::revoke(const PeerId& peer, Task fenced) {
  const auto found = writers_.find(peer);
  if (found == writers_.end()) {
    reactor_.post(std::move(fenced));
    return;
  }
  Writer& writer = found->second;
  writer.fences.push_back(std::move(fenced));
  for (const auto& link : writer.links) {
    link->ask_to_release_on_loop();
  }
  finish_fences(peer, writer);
}

void ShmReceiver::close() {
  if (listener_ != nullptr) {
    listener_->close_on_loop();
  }
  for (auto& [peer, writer] : writers_) {
    for (const auto& link : writer.links) {
      link->close_on_loop();
    }
    for (Task& fenced : writer.fences) {
      reactor_.post(std::move(fenced));
    }
  }
  writers_.clear();
}

const Secret& ShmReceiver::secret_for(const HelloPacket& hello) const {
  const auto found = writers_.find(hello.sender);
  const bool expected =
      found != writers_.end() && found->second.fences.empty() && hello.receiver == self_;
  return expected ? found->second.secret : decoy_;
}

void ShmReceiver::on_applicant(Applicant applicant) {
  // Proven by this writer's secret, so it is there.
  Writer& writer = writers_.at(applicant.hello.sender);
  if (const auto refusal = judge(writer)) {
    ++counters_.openings_refused;
    log::info("shm: can't take in writer {} now (reason {})", applicant.hello.sender.brief(),
              static_cast<std::uint32_t>(*refusal));
    refuse(applicant.socket, *refusal);
    return;
  }
  admit(writer, std::move(applicant));
}

std::optional<RefusalReason> ShmReceiver::judge(const Writer& writer) {
  if (writer.current != nullptr && writer.secret_in_use) {
    return RefusalReason::kInUse;
  }
  return writer.links.size() < kMaxLinksPerPeer ? std::nullopt
                                                : std::optional(RefusalReason::kNotNow);
}

void ShmReceiver::admit(Writer& writer, Applicant applicant) {
  const WelcomePacket welcome{.page_bytes = buffer_.page_bytes(),
                              .file_bytes = buffer_.size_bytes(),
                              .page_count = buffer_.page_count()};
  auto link = WriterLink::open_on_loop(reactor_, applicant, welcome, buffer_.memfd(),
                                       max_message_bytes_, *this);
  if (!link.ok()) {
    ++counters_.openings_refused;
    log::info("shm: can't welcome writer {}: {}", applicant.hello.sender.brief(),
              std::string(link.status().message()));
    refuse(applicant.socket, RefusalReason::kNotNow);
    return;
  }
  if (writer.current != nullptr) {
    writer.current->ask_to_release_on_loop();  // A newer ticket supersedes it.
  }
  writer.current = link->get();
  writer.secret_in_use = true;
  writer.links.push_back(*std::move(link));
  // It may map from now on. Told in the turn of the welcome, so that it is known as connected
  // before any message that it sends afterwards on another channel.
  if (!std::exchange(writer.reported, true)) {
    observer_.writer_connected(writer.current->peer());
  }
}

void ShmReceiver::on_writer_link(WriterLink& link) {
  const PeerId peer = link.peer();
  Writer& writer = writers_.at(peer);
  settle(writer, link);
  finish_fences(peer, writer);
}

void ShmReceiver::settle(Writer& writer, WriterLink& link) {
  if (&link == writer.current) {
    report(writer, link);
  }
  if (link.state() == WriterState::kSevered) {
    ++counters_.writers_severed;
  }
  if (link.state() == WriterState::kFenced) {
    std::erase_if(writer.links, [&](const auto& owned) { return owned.get() == &link; });
  }
}

void ShmReceiver::report(Writer& writer, const WriterLink& link) {
  const bool ended = link.state() == WriterState::kSevered || link.state() == WriterState::kFenced;
  if (ended) {
    writer.current = nullptr;
    const bool was_revoked = !writer.fences.empty();
    if (std::exchange(writer.reported, false) && !was_revoked) {
      observer_.writer_gone(link.peer(), link.why());
    }
  }
}

void ShmReceiver::finish_fences(const PeerId& peer, Writer& writer) {
  if (writer.fences.empty() || !writer.links.empty()) {
    return;
  }
  for (Task& fenced : writer.fences) {
    reactor_.post(std::move(fenced));
  }
  writers_.erase(peer);
}

}  // namespace baton::transport::shm
