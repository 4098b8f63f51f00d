// The receiving half: who may map the buffer, who has, and the proof that they no longer do.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/memory/registered_buffer.h"
#include "src/transport/observer_post.h"
#include "src/transport/shm/shm_counters.h"
#include "src/transport/shm/shm_listener.h"
#include "src/transport/shm/writer_link.h"

namespace baton::transport::shm {

/// Lives on the loop. Everything that it references outlives it.
class ShmReceiver final : private Doorkeeper, private WriterLinkOwner {
 public:
  ShmReceiver(Reactor& reactor, const PeerId& self, const RegisteredBuffer& buffer,
              const ListenerLimits& limits, std::size_t max_message_bytes, ObserverPost& observer);

  StatusOr<std::string> expect_peer(const PeerId& peer);
  Status tell(const PeerId& peer, std::string_view message);
  void revoke(const PeerId& peer, Task fenced);
  void close();

  const ShmCounters& counters() const { return counters_; }

 private:
  /// A peer that was expected and has not been fenced since.
  struct Writer {
    Secret secret;
    bool secret_in_use = false;                      ///< `current` was let in by it
    std::vector<std::unique_ptr<WriterLink>> links;  ///< those not fenced
    WriterLink* current = nullptr;                   ///< the live one among them
    bool reported = false;                           ///< the observer knows it as connected
    std::vector<Task> fences;                        ///< waiting; not empty: being revoked
  };

  const Secret& secret_for(const HelloPacket& hello) const override;
  void on_applicant(Applicant applicant) override;
  void on_writer_link(WriterLink& link) override;
  void on_writer_says(WriterLink& link, std::string message) override;

  Status open_listener();
  static std::optional<RefusalReason> judge(const Writer& writer);
  void admit(Writer& writer, Applicant applicant);
  void settle(Writer& writer, WriterLink& link);
  void report(Writer& writer, const WriterLink& link);
  void finish_fences(const PeerId& peer, Writer& writer);

  Reactor& reactor_;
  const PeerId self_;
  const RegisteredBuffer& buffer_;
  const ListenerLimits limits_;
  const std::size_t max_message_bytes_;
  ObserverPost& observer_;
  /// For the hellos of strangers, so that they fare as others do.
  const Secret decoy_ = Secret::random();
  ShmCounters counters_;
  std::unique_ptr<ShmListener> listener_;  // from the first expect_peer() on
  std::map<PeerId, Writer> writers_;
};

}  // namespace baton::transport::shm
