// The sender's end of one rail: an endpoint, and the puts and gets that go by it.
#pragma once

#include <ucp/api/ucp_def.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "src/transport/tcp/pulse.h"
#include "src/transport/transport.h"
#include "src/transport/ucx/ucx_options.h"
#include "src/transport/ucx/welcome.h"
#include "src/transport/ucx/worker.h"

namespace baton::transport::ucx {

/// How long to wait for a device to give up its work before its queue pairs are destroyed anyway.
/// Measured: well below 1 ms.
inline constexpr std::chrono::milliseconds kMaxCloseTime{50};

using RailOp = std::variant<WriteOp, ReadOp>;

class RailOwner {
 public:
  virtual ~RailOwner() = default;
  /// Parts are complete that were not before; the first, empty part says that the rail works.
  virtual void on_rail_completed() = 0;
  /// The rail ended by itself. Called last: may destroy the rail.
  virtual void on_rail_ended(const Status& why) = 0;
};

/// wiring → open → closed. A part of a batch is complete when a flush after its last put says that
/// its bytes are in the receiver's memory: the completion of a put says only that the source may
/// be used again. (That of a get says that its bytes are here, and the flush comes after it.) On
/// the loop only.
class Rail {
 public:
  /// Where the receiver's pages are.
  struct Target {
    std::uint64_t base_address = 0;
    std::uint64_t page_bytes = 0;
    std::uint32_t page_count = 0;
  };

  /// The owner is called from the loop, never from inside a call of it.
  static StatusOr<std::unique_ptr<Rail>> connect(Reactor& reactor, const Context& context,
                                                 const UcxOptions& options, const Target& target,
                                                 const Welcome::Rail& peer, RailOwner& owner);
  ~Rail() { close(); }
  Rail(const Rail&) = delete;
  Rail& operator=(const Rail&) = delete;

  /// Of the part that ended last; 1 is the rail's first word, 0 is before it.
  std::uint64_t last_completed() const { return last_completed_; }
  /// Of what was pushed. As of its last turn, or of catch_up(): the rail whose turn comes last
  /// would otherwise always seem to have more to do than the others.
  std::uint64_t unfinished_bytes() const;
  void catch_up() { worker_->catch_up(); }
  /// As UCX calls them: "rc_verbs/rxe0:1".
  std::string lanes() const;

  /// A part, whose ops fit the target's pages, and are of at most piece_bytes each.
  std::uint64_t push(const std::vector<RailOp>& ops);
  /// Tells the device to give up its work. The owner is not called any more. Idempotent.
  void begin_close();
  /// Waits for that, until `limit` at most; then nothing touches local memory any more.
  void finish_close(TimePoint limit);

 private:
  struct Part {
    Rail* rail = nullptr;
    std::uint64_t bytes = 0;
    std::size_t ops_left = 0;  ///< to be given to UCX
    bool flushing = false;
    bool complete = false;
  };

  Rail(Reactor& reactor, const Context& context, const UcxOptions& options, const Target& target,
       RailOwner& owner);

  Status start(const Welcome::Rail& peer);
  void issue();
  void move(const RailOp& op);
  void flush(Part& part);
  void on_progressed(const Status& health);
  void completed(ucs_status_t status);
  void watch_for_stalls();
  void fail(Status why);
  void close();
  bool under_way() const { return ops_ + flushes_ > 0; }

  static void on_moved(void* request, ucs_status_t status, void* rail);
  static void on_flushed(void* request, ucs_status_t status, void* part);
  static void on_error(void* rail, ucp_ep_h endpoint, ucs_status_t status);

  Reactor& reactor_;
  const Context& context_;
  const UcxOptions& options_;
  const Target target_;
  RailOwner& owner_;
  Status trouble_;
  std::size_t ops_ = 0;      // puts and gets under way
  std::size_t flushes_ = 0;  // under way
  std::deque<RailOp> queue_;
  std::deque<Part> parts_;  // by age; elements keep their addresses
  std::size_t parts_issued_ = 0;
  std::uint64_t last_pushed_ = 0;
  std::uint64_t last_completed_ = 0;
  std::uint64_t unfinished_bytes_ = 0;
  TcpOptions stall_options_;
  std::optional<tcp::Pulse> stall_;  // while something is under way
  ucp_ep_h endpoint_ = nullptr;
  ucs_status_ptr_t closing_ = nullptr;  // a request of UCX's
  ucp_rkey_h rkey_ = nullptr;
  std::unique_ptr<Worker> worker_;
};

}  // namespace baton::transport::ucx
