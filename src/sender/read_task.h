// One read: the state machine from its submission to its last callback.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "baton/memory_obj.h"
#include "baton/status.h"
#include "src/base/digest_queue.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/sender/config.h"
#include "src/sender/peer_link.h"
#include "src/sender/put_task.h"
#include "src/sender/read_state.h"
#include "src/sender/resend_timer.h"
#include "src/sender/stock_query.h"
#include "src/wire/messages.h"

namespace baton::sender {

/// What a caller submits. The chunk of `keys[i]` comes into `objects[i]`, and must be as long.
struct ReadSpec {
  std::string req_id;  ///< for logs, and for who cancels it
  std::vector<std::string> keys;
  std::vector<MemoryObj> objects;
  Duration timeout{};
  std::string query_endpoint;  ///< an LMCache receiver's; empty: none is known
  KeyDone on_key_done;
};

/// connecting → requesting → reading (→ confirming, from an LMCache receiver) → ended; from every
/// state before the end: → draining → ended. docs/protocol.md, "Reads", and docs/interop.md say why
/// for each transition. All methods on the loop.
class ReadTask {
 public:
  enum class State : std::uint8_t {
    kConnecting,  ///< waits for the link
    kRequesting,  ///< ReadRequest sent: from here on the receiver may hold chunks for it
    kReading,     ///< hits are being read and verified
    kConfirming,  ///< read; an LMCache receiver is asked whether they are where they were
    kDraining,    ///< failed: waits until nothing writes to the local pages
    kEnded,
  };

  /// The owner's half.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// Last call: the owner may destroy the read in a later turn.
    virtual void on_read_ended(ReadTask& read) = 0;
  };

  ReadTask(Scheduler& scheduler, DigestQueue& digests, const Config& config, Owner& owner,
           PeerLink& link, std::uint64_t id, ReadSpec spec,
           std::shared_ptr<detail::ReadState> state);
  ~ReadTask();

  void start();
  void on_response(const wire::ReadResponse& response);
  /// Any state before the end → draining → ended. Idempotent.
  void fail(const Status& why);

  std::uint64_t id() const { return id_; }
  State state() const { return state_; }
  const ReadSpec& spec() const { return spec_; }
  PeerLink& link() const { return link_; }

 private:
  /// A chunk that the receiver holds for this read.
  struct Hit {
    std::uint32_t key_index;
    std::uint32_t page;
    std::uint64_t generation;
    std::uint64_t digest;
  };
  /// Hits that are read in one batch.
  struct Slice {
    std::vector<std::size_t> hits;  // indexes into hits_
    std::size_t digests_left = 0;
  };

  void on_ready(const Status& status);
  wire::ReadRequest request() const;
  Status take(const wire::ReadResponse& response);
  void pump();
  void start_slice(std::vector<std::size_t> hits);
  void on_slice_read(std::size_t number, const Status& status);
  void on_digest(std::size_t number, const Hit& hit, std::uint64_t digest);
  void on_slice_idle();
  void settle(std::uint32_t key_index, Status status);
  void settle_read(const Hit& hit);
  // read_task_stock.cc
  void ask_stock();
  void on_stock_answer(const StatusOr<wire::CacheQueryResponse>& response);
  void ask_stock_again();
  void confirm(const std::vector<std::optional<std::uint32_t>>& pages);
  std::vector<std::string> hit_keys() const;
  void end();

  Scheduler& scheduler_;
  DigestQueue& digests_;
  const Config& config_;
  Owner& owner_;
  PeerLink& link_;
  const std::uint64_t id_;
  ReadSpec spec_;
  const std::shared_ptr<detail::ReadState> handle_;
  const TimePoint submitted_;
  const TimePoint deadline_;

  State state_ = State::kConnecting;
  Status failure_;
  std::uint64_t session_ = 0;  // of the link that it has asked on; 0: it has not asked
  ResendTimer resend_;
  std::unique_ptr<StockQuery> query_;  // null: a Baton receiver's read
  TimerId deadline_timer_ = kNoTimer;
  TimerId drain_timer_ = kNoTimer;
  std::vector<Hit> hits_;
  bool has_digests_ = false;
  std::size_t next_hit_ = 0;                     // first one that is in no slice yet
  std::deque<Slice> slices_;                     // all of them, by number
  std::size_t slices_busy_ = 0;                  // being read or digested
  std::vector<std::optional<Status>> statuses_;  // one per key; none: not known yet
  std::uint64_t bytes_read_ = 0;
  Lifetime lifetime_;
};

}  // namespace baton::sender
