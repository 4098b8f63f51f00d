// Where loopback transports find each other, and where tests put faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "src/base/scheduler.h"
#include "src/transport/transport.h"

namespace baton::transport {

class LoopbackTransport;

struct LoopbackOptions {
  /// A write or a read lands in pieces of this many bytes, each in a turn of its own.
  std::size_t piece_bytes = 64U << 10U;
  /// Between two pieces of a connection. Zero: the next turn.
  Duration piece_delay = Duration::zero();
  /// From connect() to its answer.
  Duration connect_delay = Duration::zero();
  /// From revoke() to `fenced`.
  Duration fence_delay = Duration::zero();
  /// What digests_writes() says.
  bool digests_writes = true;
  /// Whether map_pages() gives something.
  bool maps_pages = false;
};

/// What a simulator decides about the data network, from one event to the next. Without one, the
/// options say how long things take, nothing is late and nobody watches.
class LoopbackConditions {
 public:
  virtual ~LoopbackConditions() = default;

  /// Before the next piece of that connection lands.
  virtual Duration piece_delay(const PeerId& writer, const PeerId& receiver) = 0;
  virtual Duration connect_delay(const PeerId& writer, const PeerId& receiver) = 0;
  virtual Duration fence_delay(const PeerId& receiver, const PeerId& writer) = 0;
  /// How long after its end `told` hears that the connection with `other` is gone.
  virtual Duration notice_delay(const PeerId& told, const PeerId& other) = 0;

  /// A piece that was under way when its connection ended: nullopt if it is lost. Otherwise it
  /// lands that much later, unless the receiver has fenced the writer by then.
  virtual std::optional<Duration> straggles(const PeerId& writer, const PeerId& receiver) = 0;
  /// False: nobody checks the grant of what lands there, as with shared memory or RDMA.
  virtual bool guarded(const PeerId& receiver) = 0;

  struct Landing {
    PeerId writer;
    PeerId receiver;
    std::uint32_t page;
    std::uint64_t generation;
    std::uint64_t offset_bytes;
    std::size_t length_bytes;
    bool straggler;
  };
  /// After the bytes are in their page.
  virtual void on_landed(const Landing& landing) = 0;
  /// After the bytes are in the reader's memory: `writer` is who reads. A straggler here is one
  /// that the receiver has lost already and not fenced yet; where nobody checks, it reads until
  /// then, or until it hears of its loss. What is under way to a reader that has heard is lost.
  virtual void on_read(const Landing& /*landing*/) {}
  /// From now on nothing of `writer` gets to `receiver`'s pages, nor out of them.
  virtual void on_fenced(const PeerId& /*receiver*/, const PeerId& /*writer*/) {}
};

/// The network of one scheduler. Deterministic: no clock, no thread and no randomness of its own.
/// Outlives its transports. On the loop only.
class LoopbackHub {
 public:
  explicit LoopbackHub(Scheduler& scheduler, LoopbackOptions options = {})
      : scheduler_(scheduler), options_(options) {}
  LoopbackHub(const LoopbackHub&) = delete;
  LoopbackHub& operator=(const LoopbackHub&) = delete;

  // ---- faults ------------------------------------------------------------------------------
  /// Asked once for each write; true: its bytes never land, yet it is reported as complete.
  using DropWrite =
      std::function<bool(const PeerId& writer, const PeerId& receiver, const WriteOp& op)>;
  void set_drop_write(DropWrite drop_write) { drop_write_ = std::move(drop_write); }

  /// The same for reads: the reader's memory stays as it was.
  using DropRead =
      std::function<bool(const PeerId& reader, const PeerId& receiver, const ReadOp& op)>;
  void set_drop_read(DropRead drop_read) { drop_read_ = std::move(drop_read); }

  /// Outlives the hub's transports; null: none.
  void set_conditions(LoopbackConditions* conditions) { conditions_ = conditions; }

  /// Breaks the connection from `writer` to `receiver`, if there is one. Both are told.
  void break_connection(const PeerId& writer, const PeerId& receiver, const Status& why);

  /// `peer`'s process dies: it neither writes nor calls back any more, and its peers are told.
  void kill(const PeerId& peer);

  // ---- for LoopbackTransport and LoopbackLink ------------------------------------------------
  Scheduler& scheduler() { return scheduler_; }
  const LoopbackOptions& options() const { return options_; }
  LoopbackConditions* conditions() const { return conditions_; }
  Duration piece_delay(const PeerId& writer, const PeerId& receiver) const {
    return conditions_ == nullptr ? options_.piece_delay
                                  : conditions_->piece_delay(writer, receiver);
  }
  Duration connect_delay(const PeerId& writer, const PeerId& receiver) const {
    return conditions_ == nullptr ? options_.connect_delay
                                  : conditions_->connect_delay(writer, receiver);
  }
  Duration fence_delay(const PeerId& receiver, const PeerId& writer) const {
    return conditions_ == nullptr ? options_.fence_delay
                                  : conditions_->fence_delay(receiver, writer);
  }
  Duration notice_delay(const PeerId& told, const PeerId& other) const {
    return conditions_ == nullptr ? Duration::zero() : conditions_->notice_delay(told, other);
  }
  /// What is under way of `op` when its connection ends: copied now, for the writer's memory may
  /// be gone when it lands.
  void let_straggle(const PeerId& writer, const PeerId& receiver, const WriteOp& op,
                    std::size_t from, std::size_t bytes);
  void enter(const PeerId& peer, LoopbackTransport* transport) { transports_[peer] = transport; }
  void leave(const PeerId& peer) { transports_.erase(peer); }
  /// nullptr if there is no such peer (any more).
  LoopbackTransport* find(const PeerId& peer) const;
  /// Tickets need only differ: nobody in this process steals them.
  std::uint64_t next_ticket_number() { return ++ticket_number_; }
  bool drops(const PeerId& writer, const PeerId& receiver, const WriteOp& op) const {
    return drop_write_ && drop_write_(writer, receiver, op);
  }
  bool drops(const PeerId& reader, const PeerId& receiver, const ReadOp& op) const {
    return drop_read_ && drop_read_(reader, receiver, op);
  }

 private:
  Scheduler& scheduler_;
  const LoopbackOptions options_;
  DropWrite drop_write_;
  DropRead drop_read_;
  LoopbackConditions* conditions_ = nullptr;
  std::map<PeerId, LoopbackTransport*> transports_;  // ordered: runs must be repeatable
  std::uint64_t ticket_number_ = 0;
};

}  // namespace baton::transport
