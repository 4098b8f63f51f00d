// The transport inside one scheduler, for tests and the simulator. It really moves bytes, and lands
// them gradually, so that whoever looks too early sees half a write.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "src/transport/loopback/loopback_hub.h"
#include "src/transport/loopback/loopback_link.h"
#include "src/transport/transport.h"

namespace baton::transport {

/// A piece that was under way when its connection ended.
struct LateWrite {
  PeerId writer;
  std::vector<std::byte> bytes;
  std::uint32_t page;
  std::uint64_t generation;
  std::uint64_t offset_bytes;
  std::uint64_t fences;  ///< of that writer at the receiver, when the connection ended
};

/// The guard is asked before each piece. A write or read that it refuses, or that does not fit its
/// page, ends the connection and is counted. Fence: by construction, the link ends inside revoke(),
/// and what straggles is discarded from `fenced` on.
class LoopbackTransport final : public Transport {
 public:
  LoopbackTransport(LoopbackHub& hub, const PeerId& self)
      : LoopbackTransport(hub, self, hub.scheduler()) {}
  /// `process` runs the callbacks; the hub's own scheduler is the network.
  LoopbackTransport(LoopbackHub& hub, const PeerId& self, Scheduler& process);
  ~LoopbackTransport() override;

  std::string_view name() const override { return "loopback"; }
  bool digests_writes() const override { return hub_.options().digests_writes; }
  Status attach(RegisteredBuffer& buffer) override;
  void set_guard(const PageGuard* guard) override { guard_ = guard; }
  void set_observer(TransportObserver* observer) override { observer_ = observer; }
  std::string offer() const override { return {}; }
  bool can_serve(std::string_view offer) const override { return offer.empty(); }
  StatusOr<std::string> expect_peer(const PeerId& peer) override;
  void revoke(const PeerId& peer, Task fenced) override;
  void connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
               Done done) override;
  void write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done) override;
  void read_batch(const PeerId& receiver, std::vector<ReadOp> ops, Done done) override;
  std::shared_ptr<const MappedPages> map_pages(const PeerId& receiver) override;
  void disconnect(const PeerId& receiver) override;
  void close() override;
  void join() override;

  std::uint64_t rejected_writes() const { return rejected_writes_; }
  std::uint64_t rejected_reads() const { return rejected_reads_; }

  // ---- for the hub and for links -----------------------------------------------------------
  enum class Tell : bool { kNo, kYes };  ///< the observer
  /// The connection ends; this side hears of it after the network's delay.
  void sever(const PeerId& receiver, const Status& why);
  /// Nothing gets through to `receiver` any more, not even what lingered.
  void cut(const PeerId& receiver);
  void lose_receiver(const PeerId& receiver, const Status& why, Tell tell);
  void lose_writer(const PeerId& writer, const Status& why, Tell tell);
  /// Copies one piece into its page, or out of it, or ends the connection and returns false.
  bool land(const PeerId& writer, const WriteOp& op, std::size_t from, std::size_t bytes);
  bool land(const PeerId& reader, const ReadOp& op, std::size_t from, std::size_t bytes);
  /// Nothing happens if its writer was fenced, or the guard refuses it.
  void land_late(const LateWrite& late);
  /// How often `writer` was fenced here.
  std::uint64_t fences_of(const PeerId& writer) const;
  /// Somebody here has `receiver`'s pages still.
  bool has_mapped(const PeerId& receiver) const;
  /// The hub killed this process.
  void die();

 private:
  struct Attempt {  // a connect() under way
    std::uint64_t ticket_number;
    TimerId timer;
    Done done;
  };
  struct Fence {
    TimerId timer;
    PeerId peer;
    Task fenced;
  };

  bool lies_at(const PeerId& receiver, std::span<const std::byte> range) const;
  void finish_connect(const PeerId& receiver);
  Status admit(const PeerId& writer, std::uint64_t ticket_number);
  template <typename Op>
  void submit(const PeerId& receiver, std::vector<Op> ops, Done done);
  /// Inside the page, and allowed by the guard.
  template <typename Op>
  bool may_move(const PeerId& peer, const Op& op, std::size_t from, std::size_t bytes) const;
  bool is_guarded() const;
  /// Ends the connection of who asked for `what`.
  void reject(const PeerId& peer, const std::string& what);
  bool guard_allows(const PeerId& writer, std::uint32_t page, std::uint64_t generation,
                    std::uint64_t offset_bytes, std::size_t length_bytes) const;
  /// Proves the fence when its time has come, and nobody has a mapping any more.
  TimerId schedule_fence(std::uint64_t id, Duration delay);
  void report_landing(const LoopbackConditions::Landing& landing);
  void end_links(const Status& why);
  void tell(absl::AnyInvocable<void(TransportObserver&)> news);

  LoopbackHub& hub_;
  Scheduler& scheduler_;
  const PeerId self_;
  LoopbackCallbacks callbacks_;
  RegisteredBuffer* buffer_ = nullptr;
  const PageGuard* guard_ = nullptr;
  TransportObserver* observer_ = nullptr;
  bool closed_ = false;

  // Sending half.
  std::map<PeerId, Attempt> attempts_;
  std::map<PeerId, std::shared_ptr<LoopbackLink>> links_;
  std::map<PeerId, std::weak_ptr<const MappedPages>> mapped_;  // as was last given out
  // Receiving half.
  std::map<PeerId, std::uint64_t> tickets_;
  std::set<PeerId> writers_;  // connected
  std::set<PeerId>
      lingering_;  // lost, not fenced, and unguarded: what they read still gets through
  std::map<std::uint64_t, Fence> fences_;
  std::map<PeerId, std::uint64_t> revocations_;  // begun
  std::map<PeerId, std::uint64_t> fenced_;       // proven
  std::uint64_t next_fence_ = 0;
  std::uint64_t rejected_writes_ = 0;
  std::uint64_t rejected_reads_ = 0;
};

}  // namespace baton::transport
