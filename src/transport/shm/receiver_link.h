// The sender's side of one connection: from hello to mapping to release.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "baton/status.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/transport/shm/lane.h"
#include "src/transport/shm/packet_socket.h"
#include "src/transport/shm/remote_mapping.h"
#include "src/transport/shm/shm_messages.h"
#include "src/transport/shm/watched_fd.h"

namespace baton::transport::shm {

/// States as in docs/protocol-shm.md.
enum class ReceiverState : std::uint8_t {
  kHelloSent,  ///< awaits the receiver's proof
  kProofSent,  ///< gave its own; awaits the memfd
  kMapping,    ///< populates, a slice a turn
  kConnected,  ///< said `mapped`; copies may run
};

class ReceiverLink;

class ReceiverLinkOwner {
 public:
  virtual ~ReceiverLinkOwner() = default;
  virtual void on_receiver_connected(ReceiverLink& link) = 0;
  /// It is over, for this reason: release it. May destroy the link.
  virtual void on_receiver_lost(ReceiverLink& link, Status why) = 0;
  /// The receiver's logic says this. Does not destroy the link.
  virtual void on_receiver_says(ReceiverLink& link, std::string message) = 0;
};

class ReceiverLink {
 public:
  /// Connects and says hello. `owner` outlives the link.
  static StatusOr<std::unique_ptr<ReceiverLink>> open_on_loop(Reactor& reactor, const PeerId& self,
                                                              const Ticket& ticket,
                                                              TimePoint deadline,
                                                              std::size_t max_message_bytes,
                                                              ReceiverLinkOwner& owner);

  const PeerId& peer() const { return ticket_.receiver; }
  ReceiverState state() const { return state_; }
  /// Null until mapped. Whoever shares it puts `released` off.
  const std::shared_ptr<RemoteMapping>& mapping() const { return mapping_; }

  /// kUnavailable unless connected. As Lane::send().
  Status tell_on_loop(std::string_view message);
  /// Lets go of the mapping, and says `released` and closes once nobody has it any more, inside
  /// this call or later. The caller has ended all copies.
  void release_on_loop();

 private:
  ReceiverLink(Reactor& reactor, const Ticket& ticket, const HelloPacket& hello, UniqueFd socket,
               UniqueFd pidfd, std::size_t max_message_bytes, ReceiverLinkOwner& owner);

  void watch(TimePoint deadline);
  void read_some();
  Status take_in(Received received);
  Status take_message(const MessagePart& part);
  Status prove(const ChallengePacket& challenge);
  Status start_mapping(const WelcomePacket& welcome, Received received);
  void populate_later();
  void populate_next();
  void say_mapped();

  Reactor& reactor_;
  const Ticket ticket_;
  const HelloPacket hello_;
  ReceiverLinkOwner& owner_;
  ReceiverState state_ = ReceiverState::kHelloSent;
  TimerId deadline_ = kNoTimer;
  std::shared_ptr<RemoteMapping> mapping_;
  WatchedFd socket_;
  WatchedFd pidfd_;
  Lane lane_;
  Lifetime lifetime_;
};

}  // namespace baton::transport::shm
