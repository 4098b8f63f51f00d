// The receiver's side of one connection, from the moment its peer may map the buffer.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "baton/status.h"
#include "src/base/scheduler.h"
#include "src/transport/shm/lane.h"
#include "src/transport/shm/shm_listener.h"
#include "src/transport/shm/shm_messages.h"
#include "src/transport/shm/watched_fd.h"

namespace baton::transport::shm {

/// States as in docs/protocol-shm.md. Only kFenced is proof that the peer's process can't write.
enum class WriterState : std::uint8_t {
  kOffered,   ///< has the descriptor; may map at any time
  kMapped,    ///< said so: connected
  kRevoking,  ///< was asked to release
  kSevered,   ///< connection gone, mapping perhaps not: only the end of the process is proof now
  kFenced,    ///< said `released`, or its process has ended
};

class WriterLink;

class WriterLinkOwner {
 public:
  virtual ~WriterLinkOwner() = default;
  /// The state may have changed. May destroy the link.
  virtual void on_writer_link(WriterLink& link) = 0;
  /// The peer's logic says this. Does not destroy the link.
  virtual void on_writer_says(WriterLink& link, std::string message) = 0;
};

class WriterLink {
 public:
  /// Sends the welcome with the memfd. Fails without having handed out anything, and
  /// then leaves the applicant as it was.
  /// `owner` outlives the link.
  static StatusOr<std::unique_ptr<WriterLink>> open_on_loop(Reactor& reactor, Applicant& applicant,
                                                            const WelcomePacket& welcome, int memfd,
                                                            std::size_t max_message_bytes,
                                                            WriterLinkOwner& owner);

  const PeerId& peer() const { return peer_; }
  WriterState state() const { return state_; }
  /// Connected, or on the way there.
  bool live() const { return state_ == WriterState::kOffered || state_ == WriterState::kMapped; }
  /// Why it is severed or fenced.
  const Status& why() const { return why_; }

  /// kUnavailable unless it is mapped. As Lane::send().
  Status tell_on_loop(std::string_view message);
  /// Asks the peer to release. Nothing happens unless live.
  void ask_to_release_on_loop();
  /// Ends all watching. The link proves nothing more.
  void close_on_loop();

 private:
  WriterLink(Reactor& reactor, Applicant&& applicant, UniqueFd pidfd, std::size_t max_message_bytes,
             WriterLinkOwner& owner);

  void watch();
  void read_some();
  void take_in(const Received& received);
  void take_message(const MessagePart& part);
  void become_mapped();
  void sever(Status why);
  void fence(Status why);

  const PeerId peer_;
  const pid_t pid_;
  WriterLinkOwner& owner_;
  WriterState state_ = WriterState::kOffered;
  Status why_;
  WatchedFd socket_;
  WatchedFd pidfd_;
  Lane lane_;
};

}  // namespace baton::transport::shm
