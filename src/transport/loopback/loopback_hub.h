// Where loopback transports find each other, and where tests put faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>

#include "src/base/scheduler.h"
#include "src/transport/transport.h"

namespace baton::transport {

class LoopbackTransport;

struct LoopbackOptions {
  /// A write lands in pieces of this many bytes, each in a turn of its own.
  std::size_t piece_bytes = 64U << 10U;
  /// Between two pieces of a connection. Zero: the next turn.
  Duration piece_delay = Duration::zero();
  /// From connect() to its answer.
  Duration connect_delay = Duration::zero();
  /// From revoke() to `fenced`.
  Duration fence_delay = Duration::zero();
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

  /// Breaks the connection from `writer` to `receiver`, if there is one. Both are told.
  void break_connection(const PeerId& writer, const PeerId& receiver, const Status& why);

  /// `peer`'s process dies: it neither writes nor calls back any more, and its peers are told.
  void kill(const PeerId& peer);

  // ---- for LoopbackTransport and LoopbackLink ------------------------------------------------
  Scheduler& scheduler() { return scheduler_; }
  const LoopbackOptions& options() const { return options_; }
  void enter(const PeerId& peer, LoopbackTransport* transport) { transports_[peer] = transport; }
  void leave(const PeerId& peer) { transports_.erase(peer); }
  /// nullptr if there is no such peer (any more).
  LoopbackTransport* find(const PeerId& peer) const;
  /// Tickets need only differ: nobody in this process steals them.
  std::uint64_t next_ticket_number() { return ++ticket_number_; }
  bool drops(const PeerId& writer, const PeerId& receiver, const WriteOp& op) const {
    return drop_write_ && drop_write_(writer, receiver, op);
  }

 private:
  Scheduler& scheduler_;
  const LoopbackOptions options_;
  DropWrite drop_write_;
  std::map<PeerId, LoopbackTransport*> transports_;  // ordered: runs must be repeatable
  std::uint64_t ticket_number_ = 0;
};

}  // namespace baton::transport
