// The seam that every data transport implements.
//
// A transport moves bytes between this process's registered buffer and pages of a peer's,
// one-sided: the peer's logic takes no part. It has two halves. The *receiving* half (expect_peer,
// revoke, the guard) belongs to whoever owns the pages; the *sending* half (connect, write_batch,
// read_batch, disconnect) to whoever writes into them or reads out of them. One object can serve
// both.
//
// Threads: every method on the loop of the scheduler that the transport was made with, and every
// callback comes in a turn of its own there, never inside the call that caused it. join() is the
// exception: it is called after the loop has stopped.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/base/epoch.h"
#include "src/base/scheduler.h"
#include "src/memory/registered_buffer.h"

namespace baton::transport {

/// A peer is one incarnation of a process.
using PeerId = Epoch;

/// Fires exactly once, never inline.
using Done = absl::AnyInvocable<void(Status)>;

/// One range to write into one granted page.
struct WriteOp {
  std::span<const std::byte> local;  ///< inside the attached buffer; stays there until done
  std::uint32_t page = 0;            ///< page number in the receiver's buffer
  std::uint64_t generation = 0;      ///< of the grant; the receiver's guard checks it
  std::uint64_t offset_bytes = 0;    ///< where in the page
  /// If not null, and the transport digests_writes(): is set to the digest (src/base/digest.h) of
  /// `local` before `done` with OK. Stays valid until `done` is called or destroyed; not touched
  /// after that.
  std::uint64_t* digest = nullptr;
};

/// One range to read out of one page of a receiver's.
struct ReadOp {
  std::span<std::byte> local;    ///< inside the attached buffer; stays there until done
  std::uint32_t page = 0;        ///< page number in the receiver's buffer
  std::uint64_t generation = 0;  ///< of the chunk's grant; the receiver's guard checks it
  std::uint64_t offset_bytes = 0;
};

/// The receiver's check of who may touch which page. A transport whose receiving side takes part
/// in the copy asks it before it places each piece of a write, and before it sends each piece of a
/// read; one that can't (shared memory, RDMA) says so in its header and relies on quarantine,
/// holds and fences.
class PageGuard {
 public:
  virtual ~PageGuard() = default;
  virtual bool may_write(const PeerId& writer, std::uint32_t page, std::uint64_t generation,
                         std::uint64_t offset_bytes, std::uint64_t length_bytes) const = 0;
  /// `reader` holds the chunk that was committed there under `generation`.
  virtual bool may_read(const PeerId& /*reader*/, std::uint32_t /*page*/,
                        std::uint64_t /*generation*/, std::uint64_t /*offset_bytes*/,
                        std::uint64_t /*length_bytes*/) const {
    return false;
  }
};

/// A receiver's pages as memory of this process. Whoever holds it keeps the receiver from proving
/// that nobody writes there (Transport::revoke).
class MappedPages {
 public:
  virtual ~MappedPages() = default;
  /// Empty if there is no such page.
  virtual std::span<std::byte> page(std::uint32_t page) const = 0;
};

class TransportObserver {
 public:
  virtual ~TransportObserver() = default;
  /// Receiving half: `peer` connected (its first connection). Posted before the peer's connect()
  /// can succeed: what it sends next over any channel is handled later.
  virtual void on_writer_connected(const PeerId& peer) = 0;
  /// Receiving half: `peer`'s connection is gone: it closed, died, or broke the rules. Not yet a
  /// fence: call revoke() and wait for it. Not called for a connection that revoke() itself ended.
  virtual void on_writer_gone(const PeerId& peer, const Status& why) = 0;
  /// Sending half: the connection to `peer` broke. Pending batches fail with the same status.
  /// Not called for disconnect().
  virtual void on_receiver_gone(const PeerId& peer, const Status& why) = 0;
  /// Receiving half: `peer`, a writer that is connected, told this process something.
  virtual void on_writer_says(const PeerId& /*peer*/, std::string_view /*message*/) {}
  /// Sending half: a receiver that this process is connected to told it something.
  virtual void on_receiver_says(const PeerId& /*peer*/, std::string_view /*message*/) {}
};

class Transport {
 public:
  virtual ~Transport() = default;

  /// "loopback", "shm", "tcp".
  virtual std::string_view name() const = 0;

  /// It takes the digests of what it writes on the way (WriteOp::digest), so that the bytes are
  /// read from memory once.
  virtual bool digests_writes() const { return false; }

  /// Registers the buffer: the memory that local ranges come from and that peers write into.
  /// Once, before anything else. The buffer must outlive join().
  virtual Status attach(RegisteredBuffer& buffer) = 0;
  /// Both must outlive join(); set before the first peer.
  virtual void set_guard(const PageGuard* guard) = 0;
  virtual void set_observer(TransportObserver* observer) = 0;

  // ---- negotiation -------------------------------------------------------------------------
  /// Where this process is, in the transport's own terms; sent to peers in the handshake.
  virtual std::string offer() const = 0;
  /// Can a sender that made `offer` write into this process, and read out of it? `offer` is hostile
  /// input.
  virtual bool can_serve(std::string_view offer) const = 0;

  // ---- messages ----------------------------------------------------------------------------
  /// True if connections carry messages beside the bytes: whole, in order, both ways, and lost with
  /// the connection only. For a control plane that wants fewer threads in its way.
  virtual bool carries_messages() const { return false; }
  /// To a receiver that connect() has succeeded for. kUnavailable if it is not connected, or too
  /// much waits for it to read; kInvalidArgument if the message is too long. Never blocks.
  virtual Status tell_receiver(const PeerId& receiver, std::string_view message);
  /// The same, to a writer that is connected here.
  virtual Status tell_writer(const PeerId& writer, std::string_view message);

  // ---- receiving half ----------------------------------------------------------------------
  /// Lets `peer` connect, and returns the ticket that it needs for connect(): an address and a
  /// secret for this peer alone. A second call for a peer that is connected or awaited replaces
  /// the ticket. Fails for a peer that is being revoked.
  virtual StatusOr<std::string> expect_peer(const PeerId& peer) = 0;

  /// The fence. Takes the right to write and to read from `peer` and forgets its ticket; `fenced`
  /// fires once it is proven that no byte of that peer can reach a page any more. May stay pending
  /// for as long as the proof takes; fires at once (in a later turn) for an unknown peer. Never
  /// fires without proof, except when close() ends the transport.
  virtual void revoke(const PeerId& peer, Task fenced) = 0;

  // ---- sending half ------------------------------------------------------------------------
  /// Connects to the receiver that issued `ticket` (hostile input). kUnavailable,
  /// kDeadlineExceeded, kDataLoss (nonsense), kPermissionDenied (ticket refused).
  virtual void connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
                       Done done) = 0;

  /// Writes all ops, in any order. `done` fires when no local range is touched any more; OK means
  /// that every byte is visible at the receiver. Batches to one peer complete in the order of
  /// their submission. There is no deadline and no cancel: disconnect() ends what is pending.
  /// An op outside the attached buffer is kInvalidArgument, and nothing is written.
  virtual void write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done) = 0;

  /// Writes a few bytes inside this call, past the batches under way: OK means what `done` with OK
  /// means, and that all digests are set. At most kMaxBytesAtOnce in all. Only where map_pages()
  /// gives something; and even there a transport may have no such way (kUnimplemented): then
  /// nothing was written. Other errors as write_batch().
  virtual Status write_at_once(const PeerId& receiver, const std::vector<WriteOp>& ops);
  /// Some 10 µs of copying.
  static constexpr std::size_t kMaxBytesAtOnce = std::size_t{128} << 10U;

  /// Reads all ops out of the receiver's pages, in any order. `done` fires when no local range is
  /// touched any more; OK means that every byte is in local memory. Batches of both kinds to one
  /// peer complete in the order of their submission; but only what was written in batches that are
  /// done is certain to be read. Errors, bounds and ends as write_batch(). What the receiver's
  /// guard refuses is kPermissionDenied or ends the connection, as with writes.
  virtual void read_batch(const PeerId& receiver, std::vector<ReadOp> ops, Done done) = 0;

  /// The pages of a receiver that connect() has succeeded for, where this process can write to them
  /// by itself; otherwise null. Local ranges of write_batch() to that receiver may lie in them.
  virtual std::shared_ptr<const MappedPages> map_pages(const PeerId& /*receiver*/) {
    return nullptr;
  }

  /// Ends the connection from the sender's side. Pending batches fail with kCancelled; nothing
  /// touches local memory after their `done`. Nothing happens for an unknown peer.
  virtual void disconnect(const PeerId& receiver) = 0;

  // ---- end ---------------------------------------------------------------------------------
  /// Starts the end: refuses what is new, fails what is pending (kCancelled), closes sockets.
  virtual void close() = 0;
  /// Frees what is left. After the loop has stopped, or on it when no callback is outstanding.
  virtual void join() = 0;
};

}  // namespace baton::transport
