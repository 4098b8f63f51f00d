// Writes into a receiver on the same host, and reads out of it, through a shared mapping of its
// buffer.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/transport/observer_post.h"
#include "src/transport/shm/host_identity.h"
#include "src/transport/shm/shm_counters.h"
#include "src/transport/shm/shm_listener.h"
#include "src/transport/shm/shm_receiver.h"
#include "src/transport/shm/shm_sender.h"
#include "src/transport/transport.h"

namespace baton::transport {

struct ShmOptions {
  shm::ListenerLimits listener;
  /// The longest message that the logics tell each other.
  std::size_t max_message_bytes = 8U << 20U;
  /// Threads beside the loop that take part in large copies.
  shm::CopyHelpers copy_helpers{.count = 1, .for_digests = 1};
};

/// docs/protocol-shm.md describes its bytes and states.
///
/// Trust: the receiving side takes no part in the copy, so the PageGuard is never asked, and
/// neither `generation` nor bounds are checked there. A sender checks its own bounds. Until it is
/// fenced, a connected process is trusted not to write or read outside its grants; so only
/// processes of the same user or root, with a ticket, are let in.
///
/// Fence: a living sender is asked to stop, unmap and say so. If it doesn't (stopped, hung),
/// revoke() stays pending until that process has ended, which a pidfd proves. The mapping is kept
/// out of forked children, so no other process has it.
///
/// `done` with OK: all bytes are copied, and fenced by the processor: the receiver sees them.
class ShmTransport final : public Transport {
 public:
  /// `reactor` outlives the transport.
  ShmTransport(Reactor& reactor, const PeerId& self, const ShmOptions& options = {});
  ~ShmTransport() override;

  std::string_view name() const override { return "shm"; }
  bool digests_writes() const override { return true; }
  Status attach(RegisteredBuffer& buffer) override;
  void set_guard(const PageGuard* /*guard*/) override {}
  void set_observer(TransportObserver* observer) override;

  std::string offer() const override;
  bool can_serve(std::string_view offer) const override;

  bool carries_messages() const override { return true; }
  Status write_at_once(const PeerId& receiver, const std::vector<WriteOp>& ops) override;
  std::shared_ptr<const MappedPages> map_pages(const PeerId& receiver) override;
  Status tell_receiver(const PeerId& receiver, std::string_view message) override;
  Status tell_writer(const PeerId& writer, std::string_view message) override;

  StatusOr<std::string> expect_peer(const PeerId& peer) override;
  void revoke(const PeerId& peer, Task fenced) override;

  void connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
               Done done) override;
  void write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done) override;
  void read_batch(const PeerId& receiver, std::vector<ReadOp> ops, Done done) override;
  void disconnect(const PeerId& receiver) override;

  void close() override;
  void join() override;

  shm::ShmCounters counters() const;

 private:
  Status usable() const;

  Reactor& reactor_;
  const PeerId self_;
  const ShmOptions options_;
  const shm::HostIdentity host_ = shm::HostIdentity::current();
  bool closed_ = false;
  std::unique_ptr<ObserverPost> observer_;      // outlives the halves
  std::unique_ptr<shm::ShmReceiver> receiver_;  // with the buffer attached, until join()
  std::unique_ptr<shm::ShmSender> sender_;      // likewise
};

}  // namespace baton::transport
